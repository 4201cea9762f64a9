"""How a figure reaches the page."""

import matplotlib.pyplot as plt
import pytest
from IPython.utils.capture import capture_output

from minipi0.plots import show, style


def test_a_figure_is_shown_with_its_text_and_closed():
    plt.close("all")
    style.figure()
    with capture_output() as shown:
        show('Two arcs pass the obstacle, "left" & right')
    (output,) = shown.outputs
    assert (
        'alt="Two arcs pass the obstacle, &quot;left&quot; &amp; right"' in output.data["text/html"]
    )
    assert "data:image/png;base64," in output.data["text/html"]
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
