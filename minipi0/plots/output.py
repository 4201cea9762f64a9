"""How a figure reaches the page: one picture with a text for readers who do not see it."""

import re
import tomllib
from base64 import b64encode
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import display
from PIL import Image

from minipi0.plots import style

FEW = 8000  # colours: a photograph has more, a drawing fewer
DPI = 144  # of the file; it is shown at the figure's own size, at most style.WIDEST


@cache
def texts() -> dict[str, dict[str, str]]:
    """What the notebooks' pictures show: {"03": {"demos": one or two sentences}}."""
    return tomllib.loads(Path(__file__).with_name("texts.toml").read_text(encoding="utf-8"))


def show(alt: str) -> None:
    """Show the current figure and close it.

    alt: one or two sentences that say what the picture shows, or their name in texts.toml, such as
        "03/demos". A screen reader reads them, and they take the picture's place where it cannot
        be drawn.
    Raises ValueError where nothing was drawn, and where the text is empty or its name unknown.
    """
    if re.fullmatch(r"\d\d/[\w-]+", alt):
        notebook, name = alt.split("/")
        if name not in texts().get(notebook, {}):
            raise ValueError(f"{alt} is in no line of plots/texts.toml: write the text there")
        alt = texts()[notebook][name]
    if not alt.strip():
        raise ValueError("a figure needs a text that says what it shows")
    if not plt.get_fignums():
        raise ValueError("there is no figure to show: draw one first")
    figure = plt.gcf()
    kind, file = encoded(drawn(figure))
    plt.close(figure)
    width = min(round(figure.get_figwidth() * figure.dpi), style.WIDEST)
    source = f"data:image/{kind};base64,{b64encode(file).decode()}"
    picture = f'<img src="{source}" alt="{escape(alt)}" width="{width}" style="max-width: 100%">'
    data = {"text/html": picture, "text/plain": alt}
    display(data, raw=True, metadata={"text/html": {"alt": alt}})


def drawn(figure) -> Image.Image:
    """The figure in the file's resolution, where nothing is drawn clear."""
    figure.draw_without_rendering()  # only the second layout knows where the titles are
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return Image.open(file)


def encoded(image: Image.Image) -> tuple[str, bytes]:
    """The kind of a small file and its bytes: a drawing as PNG, photographs as WebP."""
    if image.convert("RGBA").getcolors(FEW):
        return "png", packed(image)
    file = BytesIO()
    image.save(file, "WEBP", quality=85, method=6)
    return "webp", file.getvalue()


def packed(image: Image.Image) -> bytes:
    """The picture as a small PNG: a drawing with 256 colours, a photograph as it is."""
    clear = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    image = image.convert("RGBA" if clear else "RGB")
    if image.getcolors(FEW):
        how = Image.Quantize.FASTOCTREE if clear else Image.Quantize.MEDIANCUT
        image = image.quantize(256, how, dither=Image.Dither.NONE)
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
