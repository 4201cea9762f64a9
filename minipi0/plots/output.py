"""How a figure reaches the page: one picture with a text for readers who do not see it."""

from base64 import b64encode
from html import escape
from io import BytesIO

import matplotlib.pyplot as plt
from IPython.display import HTML, display
from PIL import Image

from minipi0.plots import style

FEW = 8000  # colours: a photograph has more, a drawing fewer
DPI = 144  # of the file; it is shown at the figure's own size, at most style.WIDEST


def show(alt: str) -> None:
    """Show the current figure and close it.

    alt: one or two sentences that say what the picture shows. A screen reader reads them, and they
        stand in the picture's place where it cannot be drawn.
    Raises ValueError where nothing was drawn, and where the text is empty.
    """
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
    display(HTML(picture, metadata={"alt": alt}))


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
