"""How a figure reaches the page."""

import io
import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from minipi0 import toys
from minipi0.plots import output, show, style


def test_a_figure_is_shown_with_its_text_and_closed(monkeypatch):
    plt.close("all")
    style.figure()
    shown = []
    monkeypatch.setattr(output, "display", lambda data, **_: shown.append(data))
    show('Two arcs pass the obstacle, "left" & right')
    (picture,) = shown
    alt = 'alt="Two arcs pass the obstacle, &quot;left&quot; &amp; right"'
    assert alt in picture["text/html"] and picture["text/plain"].startswith("Two arcs")
    assert "data:image/png;base64," in picture["text/html"]
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    "alt, drawn, message",
    [(" ", True, "needs a text"), ("x", False, "draw one"), ("03/nothing", True, "texts.toml")],
)
def test_no_figure_without_a_text_and_no_text_without_a_figure(alt, drawn, message):
    plt.close("all")
    if drawn:
        style.figure()
    with pytest.raises(ValueError, match=message):
        show(alt)
    plt.close("all")


PAGES = ("#ffffff", "#111111")  # JupyterLab's, light and dark
CURVES = "NOISE DATA FLOW ONE_STEP REGRESSION GAUSSIAN PATH".split()
# what an eye without the middle (deuteranopia) or the long cones sees: Machado et al. 2009
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    low, high = sorted(linear(c) @ TO_XYZ[1] + 0.05 for c in (a, b))
    return high / low


def lab(colour: str, eye) -> np.ndarray:
    """CIE L*a*b*, in which equal distances look about equally large."""
    seen = (np.array(eye) @ linear(colour)).clip(0, 1)
    x, y, z = np.cbrt(TO_XYZ @ seen / TO_XYZ.sum(1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_colours_are_seen_on_both_pages():
    for page in PAGES:
        assert contrast(style.INK, page) > 4
        assert min(contrast(getattr(style, name), page) for name in CURVES) > 3


@pytest.mark.parametrize("eye", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all", "deut", "prot"])
def test_colours_are_told_apart_by_every_eye(eye):
    at = {name: lab(getattr(style, name), eye) for name in CURVES}
    apart = {
        pair: np.linalg.norm(at[pair[0]] - at[pair[1]]) for pair in itertools.combinations(at, 2)
    }
    assert min(apart.values()) > 20, min(apart, key=apart.get)  # 2.3 is just noticeable


def test_every_colour_is_one_of_the_style():
    known = {colour.lower() for colour in vars(style).values() if isinstance(colour, str)}
    for file in Path(style.__file__).parent.glob("*.py"):
        own = set(re.findall(r"#[0-9a-f]{6}\b", file.read_text("utf-8").lower())) - known
        assert file.name == "style.py" or not own, f"{file.name}: {own}"
    drawn = {colour for colour in known if re.fullmatch("#[0-9a-f]{6}", colour)}
    assert drawn == {getattr(style, name) for name in CURVES} | {style.INK}


def test_discs_that_touch_have_one_rim():
    _, ax = style.figure()
    style.discs(ax, toys.GaussianMixture([[0, 0], [0.3, 0], [2, 0]], 0.1))
    left, right, alone = (line.get_xydata() for line in ax.lines)
    assert np.isnan(left).any() and not np.isnan(alone).any()
    assert np.nanmin(np.linalg.norm(left - [0.3, 0], axis=1)) >= 0.2
    assert np.nanmin(np.linalg.norm(right, axis=1)) >= 0.2
    plt.close("all")


def test_texts_made_later_have_the_style_and_wide_figures_fit_the_page():
    fig, axes = style.figure(1, 5, size=(3.2, 3.4))
    late = [axes[0].annotate("x", (0, 0)), axes[0].set_title("y"), axes[0].set_xlabel("z")]
    axes[0].plot([0, 1], label="curve")
    late += [*axes[0].legend().get_texts(), *axes[0].get_xticklabels()]
    assert {text.get_color() for text in late} == {style.INK}
    assert fig.get_figwidth() * fig.dpi <= style.WIDEST + 1e-6
    file = io.BytesIO()
    fig.savefig(file)
    assert Image.open(file).convert("RGBA").getpixel((0, 0))[3] == 0
    plt.close(fig)


def test_packing_keeps_what_is_clear_and_every_photograph():
    photo = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    again = Image.open(io.BytesIO(output.packed(Image.fromarray(photo))))
    assert (np.array(again.convert("RGB")) == photo).all()
    kind, webp = output.encoded(Image.fromarray(np.repeat(np.repeat(photo, 8, 0), 8, 1)))
    again = np.array(Image.open(io.BytesIO(webp)).convert("RGB"))[4::8, 4::8].astype(int)
    assert kind == "webp" and np.abs(again - photo).mean() < 12
    drawn = np.zeros((40, 40, 4), np.uint8)
    assert output.encoded(Image.fromarray(drawn))[0] == "png"
    drawn[10:20] = (24, 102, 248, 255)
    again = Image.open(io.BytesIO(output.packed(Image.fromarray(drawn))))
    assert (np.array(again.convert("RGBA")) == drawn).all()
