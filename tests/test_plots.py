"""How a figure reaches the page."""

import matplotlib.pyplot as plt
import pytest

from minipi0.plots import output, show, style


def test_a_figure_is_shown_with_its_text_and_closed(monkeypatch):
    plt.close("all")
    style.figure()
    shown = []
    monkeypatch.setattr(output, "display", shown.append)
    show('Two arcs pass the obstacle, "left" & right')
    (picture,) = shown
    assert 'alt="Two arcs pass the obstacle, &quot;left&quot; &amp; right"' in picture.data
    assert "data:image/png;base64," in picture.data
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    "alt, drawn, message", [(" ", True, "needs a text"), ("x", False, "draw one")]
)
def test_no_figure_without_a_text_and_no_text_without_a_figure(alt, drawn, message):
    plt.close("all")
    if drawn:
        style.figure()
    with pytest.raises(ValueError, match=message):
        show(alt)
    plt.close("all")
