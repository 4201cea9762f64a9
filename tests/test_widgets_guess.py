"""Guess: it keeps what the reader guesses, with mouse and keys, and without a kernel."""

import pytest
import traitlets
from browser import MODEL_JS, blank_page, needs_chromium

from minipi0.widgets import Guess


def test_a_guess_is_one_of_the_choices_or_a_number():
    w = Guess("Where does it end?", ["on the ring", "in the middle"])
    w.guess = "on the ring"
    with pytest.raises(traitlets.TraitError, match="one of"):
        w.guess = "nowhere"
    number = Guess("How far?", unit="cm")
    number.guess = "-1.5"
    with pytest.raises(traitlets.TraitError, match="number"):
        number.guess = "far"
    with pytest.raises(ValueError, match="two or more"):
        Guess("Where?", ["here"])
    with pytest.raises(ValueError, match="ask something"):
        Guess(" ")
    assert "Where does it end?" in repr(w) and "- in the middle" in repr(w)


def put(page, widget):
    names = ("question", "choices", "unit", "guess")
    state = {name: getattr(widget, name) for name in names}
    page.add_script_tag(content=MODEL_JS)
    page.evaluate("args => mount(...args)", [widget._esm, str(widget._css), state])


@needs_chromium
def test_mouse_and_keys_guess():
    with blank_page() as page:
        put(page, Guess("Where does it end?", ["on the ring", "in the middle", "outside"]))
        page.evaluate(
            "() => { window.taken = []; document.addEventListener('keydown', "
            "(e) => taken.push((e.shiftKey ? 'Shift+' : '') + e.key)); }"
        )
        status = page.get_by_role("status")
        assert status.inner_text() == "Choose before you go on."
        page.get_by_text("in the middle").click()
        assert page.evaluate("model.get('guess')") == "in the middle"
        page.keyboard.press("ArrowDown")
        assert status.inner_text() == "Your guess: outside. The answer comes below."
        page.keyboard.press("Shift+Enter")
        page.keyboard.press("Escape")  # both stay the notebook's
        assert page.evaluate("taken.filter((key) => key !== 'Shift')") == ["Shift+Enter", "Escape"]
        page.evaluate("model.set('guess', 'on the ring')")
        assert page.get_by_label("on the ring").is_checked()
        page.evaluate("cleanUp()")
        assert page.evaluate("[model.listeners(), root.childNodes.length]") == [0, 0]
        put(page, Guess("How far does it end from the ring?", unit="cm"))
        page.get_by_label("How far").press_sequentially("2.5")
        assert page.get_by_role("status").inner_text().startswith("Your guess: 2.5 cm.")
        page.get_by_label("How far").press("Enter")
        assert page.url == "about:blank" and page.errors == []
