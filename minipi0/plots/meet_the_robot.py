"""Notebook 00's pictures.

A contact sheet of an episode, the fan of sampled chunks, success beside success.
"""

import numpy as np
from matplotlib.ticker import PercentFormatter
from PIL import Image, ImageDraw, ImageFont

from minipi0.plots import style

RIM = dict(solid_capstyle="round", solid_joinstyle="round")  # of the lines over a picture
COLOURS = {
    "flow, 10 steps": style.FLOW,
    "flow, 1 step": style.ONE_STEP,
    "regression": style.REGRESSION,
}


def film(rows: dict, columns: int = 5):
    """Episodes as rows of pictures, from the first to the last, each with the fan that held then.

    rows: {title: moments}, moments as `minipi0.robot.watch` returns them. Returns the figure.
    """
    fig, axes = style.figure(len(rows), columns, size=(1.5, 1.65), squeeze=False)
    for row, (title, moments) in zip(axes, rows.items(), strict=True):
        chosen = np.linspace(0, len(moments) - 1, columns).round().astype(int)
        for ax, k in zip(row, chosen, strict=True):
            picture(ax, moments[k].picture, moments[k].fan, moments[k].chosen)
            ax.set_title(f"{k / 10:.1f} s", fontsize=9, loc="left")
        row[0].set_title(f"{title}\n0.0 s", fontsize=9, loc="left")
    return fig


def fans(moments: dict):
    """The fan of sampled chunks of a few moments side by side. moments: {title: Moment}."""
    fig, axes = style.figure(1, len(moments), size=(3.0, 3.3), squeeze=False)
    for ax, (title, moment) in zip(axes[0], moments.items(), strict=True):
        picture(ax, moment.picture, moment.fan, moment.chosen)
        ax.set_title(title, fontsize=10)
    return fig


def picture(ax, pixels: np.ndarray, fan=(), chosen=()) -> None:
    """A picture with hand paths over it. pixels: uint8[S, S, 3]; paths: float[..., 2] in 0 … 1."""
    ax.imshow(pixels)
    size = len(pixels)
    for path in fan:
        ax.plot(*(size * np.asarray(path)).T, color="black", lw=2.2, alpha=0.35, **RIM)
        ax.plot(*(size * np.asarray(path)).T, color=style.PATH, lw=1.1, alpha=0.9, **RIM)
    if len(chosen):
        ax.plot(*(size * np.asarray(chosen)).T, color="black", lw=4, alpha=0.6, **RIM)
        ax.plot(*(size * np.asarray(chosen)).T, color="white", lw=2.2, **RIM)
    ax.set(xlim=(0, size), ylim=(size, 0))
    ax.axis("off")


def success(live: dict, measured: dict):
    """Success rates with 95 % intervals: the trials just run above those of the results file.

    live, measured: {name: (successes, trials, low, high)}. Returns the figure.
    """
    fig, ax = style.figure(size=(7, 0.62 * len(measured) + 1.1))
    for row, name in enumerate(measured):
        for shift, found, width in ((-0.14, measured, 4), (0.18, live, 1.5)):
            if name not in found:
                continue
            k, n, low, high = found[name]
            colour = COLOURS.get(name, style.DATA)
            ax.plot([low, high], [row + shift] * 2, lw=width, solid_capstyle="butt", color=colour)
            ax.plot(k / n, row + shift, "o", ms=2 * width + 1, color=colour)
            side = dict(textcoords="offset points", va="center", fontsize=9)
            ax.annotate(f"{k} of {n}", (high, row + shift), (8, 0), **side)
    ax.set(yticks=range(len(measured)), yticklabels=list(measured), xlim=(-0.03, 1.18))
    ax.set(ylim=(len(measured) - 0.5, -0.5), xlabel="put down behind the wall, never touched it")
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return fig


def side_by_side(trials: list[dict], size: int = 240) -> list[Image.Image]:
    """A film of paired episodes, a pair after the other, with a caption above each.

    trials: of every start, {caption: moments}. An episode that touches the wall is shown for one
    more second and then held. Returns the frames, 10 a second; their ground is clear.
    """
    font, frames = ImageFont.load_default(15), []
    for number, pair in enumerate(trials, 1):
        cut = {name: _until_touched(moments) for name, moments in pair.items()}
        for k in range(max(map(len, cut.values())) + 8):
            frame = Image.new("RGBA", (len(cut) * (size + 8) - 8, size + 48), f"{style.INK}00")
            ink = ImageDraw.Draw(frame)
            for column, (name, moments) in enumerate(cut.items()):
                moment, x = moments[min(k, len(moments) - 1)], column * (size + 8)
                frame.paste(Image.fromarray(moment.picture).resize((size, size)), (x, 24))
                for path in moment.fan:
                    ink.line([(x + size * c, 24 + size * r) for c, r in path], style.PATH, 1)
                ink.text((x + 2, 3), f"{name}, start {number}", style.INK, font)
                if k >= len(moments) - 1:
                    good = moment.info["success"] and not moment.info["touched"]
                    said = "past the wall" if good else "into the wall"
                    if not good and not moment.info["touched"]:
                        said = "not there in time"
                    colour = style.FLOW if good else style.ONE_STEP
                    ink.text((x + 2, size + 27), said, colour, font)
            frames.append(frame)
    return frames


def _until_touched(moments: list) -> list:
    touched = [k for k, moment in enumerate(moments) if moment.info.get("touched")]
    return moments[: touched[0] + 10] if touched else moments
