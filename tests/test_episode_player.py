"""The episode player: what it sends to the browser, what it refuses, and how it plays there."""

import base64
import io
import sys

import numpy as np
import pytest
from browser import MODEL_JS, blank_page, needs_chromium
from PIL import Image
from traitlets import TraitError

from minipi0 import data
from minipi0.widgets import EpisodePlayer
from minipi0.widgets.episode_player import contact_sheet

MOUNT_JS = """async ([esm, css, state, bytes]) => {
  for (const [name, text] of Object.entries(bytes))
    state[name] = new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const module = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
  window.model = makeModel(state);
  window.root = document.body.appendChild(document.createElement("div"));
  window.cleanUp = module.default.render({ model, el: root });
}"""
PICTURES = "() => [...root.querySelectorAll('canvas')].map((c) => c.toDataURL())"
DRAWN = "() => root.querySelector('.m0-value b').textContent !== ''"


@pytest.fixture(scope="module")
def items():
    return data.load("metaworld-two-ways", horizon=16, split="all")


@pytest.fixture(scope="module")
def blind():
    return data.load("metaworld-two-ways", horizon=16, split="all", cameras=[])


def mount(page, widget):
    own = [
        name
        for name in widget.keys
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
    ]
    state = {name: getattr(widget, name) for name in own}
    binary = [name for name, value in state.items() if isinstance(value, bytes)]
    sent = {name: base64.b64encode(state.pop(name)).decode() for name in binary}
    page.add_script_tag(content=MODEL_JS)
    page.evaluate(MOUNT_JS, [widget._esm, str(widget._css), state, sent])
    page.wait_for_function(DRAWN)


def test_the_browser_gets_the_episode_that_is_asked_for(items):
    w = EpisodePlayer(items, episode=7)
    rows = (items.episode_index == 7).nonzero().flatten()
    numbers = np.frombuffer(w.values, np.float32).reshape(w.length, -1)
    assert (w.length, w.frame, w.playing, w.horizon) == (len(rows), 0, False, 16)
    np.testing.assert_array_equal(numbers[:, :4], items.state[rows])
    np.testing.assert_array_equal(numbers[:, 4:], items.actions[rows])
    assert w.instruction == "put the puck behind the wall" and w.curves[1]["title"] == "action"
    w.frame, w.episode = w.length - 1, 3
    assert w.length == (items.episode_index == 3).sum() and w.frame <= w.length - 1


def test_the_sheet_holds_every_frame_in_order(items):
    pictures = items.pictures[0][:11]
    sheet, columns = contact_sheet(pictures)
    image = np.asarray(Image.open(io.BytesIO(sheet)))
    assert columns == 4 and image.shape == (3 * 64, 4 * 64, 3)
    for k in (0, 5, 10):
        top, left = 64 * (k // 4), 64 * (k % 4)
        shown = image[top : top + 64, left : left + 64].astype(int)
        assert np.abs(shown - pictures[k].transpose(1, 2, 0).astype(int)).mean() < 6
    with pytest.raises(ValueError, match="too many to show"):
        contact_sheet(np.broadcast_to(np.zeros((1, 3, 64, 64), np.uint8), (70_000, 3, 64, 64)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda items: EpisodePlayer(items, episode=99), "episode 99 is none of 0, 1"),
        (lambda items: EpisodePlayer(items, camera="wrist"), "camera 'wrist' is none of"),
        (lambda items: setattr(EpisodePlayer(items), "frame", 999), "the episode's last frame is"),
        (lambda items: setattr(EpisodePlayer(items), "episode", 80), "episode 80"),
    ],
)
def test_wrong_traits_are_refused_with_a_reason(items, make, message):
    with pytest.raises(TraitError, match=message):
        make(items)


def test_a_data_set_without_a_camera_is_played_all_the_same(blind):
    w = EpisodePlayer(blind)
    assert w.sheet == b"" and w.camera == "" and len(w.values) > 0


def test_without_anywidget_the_hint_names_no_fallback(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    for name in ("episode_player", "base"):
        monkeypatch.delitem(sys.modules, f"minipi0.widgets.{name}", raising=False)
    from minipi0 import widgets

    with pytest.raises(ImportError, match="EpisodePlayer needs .*anywidget.* the figure beside it"):
        _ = widgets.EpisodePlayer


@needs_chromium
def test_scrubbing_by_mouse_and_keys_and_playing(items):
    with blank_page() as page:
        w = EpisodePlayer(items, episode=2)
        mount(page, w)
        page.wait_for_timeout(300)
        before = page.evaluate(PICTURES)
        slider = page.locator("input[type=range]")
        for _ in range(20):
            slider.press("ArrowRight")
        assert page.evaluate("model.get('frame')") == 20
        page.wait_for_function(f"before => ({PICTURES})()[0] !== before", arg=before[0])
        assert page.evaluate(PICTURES)[1] != before[1]
        numbers = page.locator(".m0-value b").all_inner_texts()
        row = np.frombuffer(w.values, np.float32).reshape(w.length, -1)[20]
        assert [float(t.replace("−", "-")) for t in numbers] == pytest.approx(row, abs=6e-4)

        curves = page.locator(".m0-curves")
        box = curves.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert page.evaluate("model.get('frame')") == round((w.length - 1) / 2)
        curves.press("Home")
        assert page.evaluate("model.get('frame')") == 0
        curves.press("End")
        assert page.evaluate("model.get('frame')") == w.length - 1
        assert page.evaluate("model.get('playing')") is False  # it starts paused
        page.evaluate("""() => {
            window.frames = [];
            window.note = () => frames.push(model.get('frame'));
            model.on('change:frame', note);
        }""")
        page.get_by_role("button", name="Play").press("Enter")  # from the end: from the start again
        page.wait_for_function("frames.length && !model.get('playing')")
        shown = page.evaluate("frames")
        assert shown == sorted(shown) and shown[0] < shown[-1] == w.length - 1
        page.evaluate("model.off('change:frame', note)")
        page.evaluate("cleanUp()")
        assert page.evaluate("[model.listeners(), root.childNodes.length]") == [0, 0]
        assert page.errors == []


@needs_chromium
def test_another_episode_starts_at_its_first_frame_and_fits_a_narrow_page(items, blind):
    for source in (items, blind):
        with blank_page() as page:
            mount(page, EpisodePlayer(source))
            page.evaluate("root.style.width = '340px'")
            page.locator("input[type=range]").press("ArrowRight")
            page.get_by_label("episode", exact=True).select_option("5")
            assert page.evaluate("[model.get('episode'), model.get('frame')]") == [5, 0]
            assert page.evaluate("root.scrollWidth") <= 340 and page.errors == []
