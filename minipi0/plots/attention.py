"""Notebook 05's pictures: the tokens, who may look at whom, what influences what, what caching
saves, attention drawn on an image.

`groups` is a list of (name, number of tokens, colour), in the order of the sequence.
"""

import io

import numpy as np
import torch
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.patches import Rectangle
from PIL import Image

from minipi0.plots import style

IMAGE, TEXT, STATE, ACTION, PADDING = (
    style.DATA,
    style.PATH,
    style.ONE_STEP,
    style.FLOW,
    style.NOISE,
)


def _edges(groups) -> list[int]:
    return np.cumsum([0, *(count for _, count, _ in groups)]).tolist()


def sequence(groups, notes):
    """The tokens as one strip, a cell each, coloured by group; `notes`: a line under each group.

    Returns the figure.
    """
    fig, ax = style.figure(size=(10.5, 1.9))
    edges = _edges(groups)
    for (name, count, colour), start, note in zip(groups, edges, notes, strict=False):
        for i in range(count):
            ax.add_patch(Rectangle((start + i + 0.06, 0), 0.88, 1, color=colour, lw=0))
        # a group of one or a few tokens has no room for its name: write it higher, so that
        # neighbours do not collide
        lift, sink = (1.75, -1.3) if count < 3 else (1.15, -0.2)
        ax.annotate(
            name,
            (start + count / 2, 1),
            (start + count / 2, lift),
            ha="center",
            va="bottom",
            arrowprops=_line(lift),
        )
        ax.annotate(
            note,
            (start + count / 2, 0),
            (start + count / 2, sink),
            ha="center",
            va="top",
            color="0.35",
            fontsize=9,
            arrowprops=_line(-sink),
        )
    ax.set(xlim=(-0.5, edges[-1] + 0.5), ylim=(-2.1, 2.6))
    ax.axis("off")
    return fig


def _line(distance):
    return dict(arrowstyle="-", color="0.6", lw=0.7) if distance > 1.2 else None


def masks(panels: dict, groups):
    """Each panel's (T, T) bool mask, rows look at columns; an allowed cell has the colour of the
    token looked at. Returns the figure.
    """
    fig, axes = style.figure(
        1, len(panels), size=(5.2 if len(panels) == 1 else 4.3, 4.6), squeeze=False
    )
    edges = _edges(groups)
    middles = [(a + b) / 2 - 0.5 for a, b in zip(edges, edges[1:], strict=False)]
    colours = np.array([to_rgb(colour) for _, count, colour in groups for _ in range(count)])
    for ax, (title, allowed) in zip(axes[0], panels.items(), strict=True):
        allowed = np.asarray(allowed)[..., None]
        ax.imshow(np.where(allowed, colours[None], 0.96), interpolation="nearest")
        for edge in range(1, edges[-1]):  # thin lines between tokens, wide ones between groups
            for line in (ax.axhline, ax.axvline):
                line(edge - 0.5, color="white", lw=2.5 if edge in edges else 0.6)
        ax.set_xticks(middles, [name for name, _, _ in groups], rotation=90)
        ax.set_yticks(middles, [name for name, _, _ in groups])
        ax.tick_params(length=0)
        ax.set(title=title, xlabel="is looked at")
        ax.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("looks")
    return fig


def time_embedding(taus, embedding):
    """The embedding of each tau, (T, W), as a picture, and four of its rows as curves.

    Returns the figure.
    """
    fig, (left, right) = style.figure(
        1, 2, size=(5.0, 3.5), gridspec_kw={"width_ratios": [1.25, 1]}
    )
    half = embedding.shape[1] // 2
    image = left.imshow(
        embedding.T,
        aspect="auto",
        cmap="RdBu",
        vmin=-1,
        vmax=1,
        extent=(0, 1, 2 * half, 0),
        interpolation="nearest",
    )
    left.axhline(half, color="black", lw=0.8)
    left.set_yticks([half / 2, 1.5 * half], ["sines", "cosines"], rotation=90, va="center")
    left.set(
        xlabel=r"$\tau$", title="a column is one embedding (the top rows turn too fast to draw)"
    )
    fig.colorbar(image, ax=left, shrink=0.8)
    for i, colour in zip(
        (half // 2, 3 * half // 4, half - 1),
        (style.GAUSSIAN, style.ONE_STEP, style.DATA),
        strict=True,
    ):
        period = 4e-3 * 1000 ** (i / (half - 1))
        right.plot(taus, embedding[:, i], color=colour, label=f"sine {i}: period {period:.2g}")
    right.set(xlabel=r"$\tau$", title="three of its sines", ylim=(-1.1, 1.6))
    right.legend(loc="upper center", ncols=1, fontsize=8)
    return fig


def influence(change, rows, columns):
    """change (R, C): how much each column's outputs moved when each row's inputs were disturbed;
    zeros are white. Returns the figure.
    """
    change = np.asarray(change)
    fig, ax = style.figure(size=(6.2, 4.2))
    floor = change[change > 0].min()
    image = ax.imshow(
        np.where(change > 0, change, np.nan),
        cmap="YlGnBu",
        norm=LogNorm(floor / 3, change.max()),
        aspect="auto",
    )
    for (i, j), value in np.ndenumerate(change):
        dark = value > np.sqrt(floor * change.max())
        ax.text(
            j,
            i,
            f"{value:.2g}" if value else "0",
            ha="center",
            va="center",
            color="white" if dark else "0.2",
            fontsize=9,
        )
    ax.set_xticks(range(len(columns)), columns, rotation=20, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.set(xlabel="whose output is watched", ylabel="whose input is disturbed")
    ax.spines[:].set_visible(False)
    fig.colorbar(image, ax=ax, label="relative change of the output", shrink=0.85)
    return fig


def costs(panels: dict):
    """Per panel title: (unit, {bar: (prefix part, action-step part)}). Returns the figure."""
    fig, axes = style.figure(1, len(panels), size=(4.6, 2.7))
    for ax, (title, (unit, bars)) in zip(axes, panels.items(), strict=True):
        for y, (first, second) in enumerate(bars.values()):
            ax.barh(y, first, color=IMAGE, label="prefix (images, text)" if y == 0 else None)
            ax.barh(y, second, left=first, color=ACTION, label="action expert" if y == 0 else None)
            ax.annotate(f" {first + second:.3g}", (first + second, y), va="center")
        ax.set_yticks(range(len(bars)), bars)
        ax.invert_yaxis()
        ax.set(title=title, xlabel=unit)
        ax.margins(x=0.15)
    axes[0].legend(loc="upper right", fontsize=8)
    return fig


def chunk_errors(errors: dict, samples: dict):
    """Left: error of the best velocity per action, {name: (H,)}.

    Right: a chunk drawn by each, {name: (H,)}. Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.9, 3.3))
    colours = dict(
        zip(samples, ("black", style.FLOW, style.ONE_STEP, style.REGRESSION), strict=False)
    )
    for ax, curves, marker in ((left, errors, "o-"), (right, samples, "o-")):
        for name, values in curves.items():
            ax.plot(
                range(1, len(values) + 1), values, marker, ms=4, color=colours[name], label=name
            )
        ax.set(xlabel="action of the chunk")
    left.set(
        title="error that no network can remove",
        ylabel="mean squared error of the velocity",
        ylim=(0, None),
    )
    right.set(title="one chunk, from the same noise", ylabel="action")
    right.legend(loc="best", fontsize=8)
    return fig


def on_image(image, maps, titles):
    """The image, then attention per patch drawn over it. Returns the figure.

    image (3, S, S) in [-1, 1]; maps: (R, C, n, n), 1 where attention is as if spread evenly;
    titles: R × C.
    """
    rows, columns = len(maps), len(maps[0])
    fig, axes = style.figure(rows, columns + 1, size=(1.75, 1.85), squeeze=False)
    axes[0, 0].imshow((image.permute(1, 2, 0) + 1) / 2)
    axes[0, 0].set_title("the image", fontsize=9)
    limit = max(float(torch.as_tensor(maps).max()), 1.5)
    for y, (share, text) in enumerate(
        ((0.0, "0"), (0.25, "0.5"), (0.5, "1: evenly"), (1.0, f"{limit:.1f} times"))
        if rows > 1
        else ()
    ):
        axes[1, 0].add_patch(Rectangle((0, y), 1, 0.8, fc=tint(np.array(share)), ec="0.7"))
        axes[1, 0].text(1.2, y + 0.4, text, va="center", fontsize=8)
        axes[1, 0].set(xlim=(-0.5, 4.5), ylim=(4.5, -0.5))
    for ax in axes.flat:
        ax.axis("off")
    for i in range(rows):
        for j in range(columns):
            axes[i, j + 1].imshow(overlay(image, maps[i][j], limit))
            axes[i, j + 1].set_title(titles[i][j], fontsize=9)
    return fig


def tint(share: np.ndarray) -> np.ndarray:
    """Colours (..., 3) for shares in [0, 1]: blue at 0, white at 1/2, orange at 1."""
    blue, white, orange = (
        np.array(c) for c in ((0.25, 0.45, 0.85), (1.0, 1.0, 1.0), (1.0, 0.55, 0.0))
    )
    below, above = np.clip(2 * share, 0, 1)[..., None], np.clip(2 * share - 1, 0, 1)[..., None]
    return (1 - below) * blue + (below - above) * white + above * orange


def overlay(image, weights, limit: float = 2.0) -> np.ndarray:
    """The image (3, S, S) in grey, its patches tinted by weight (n, n): blue at 0, white at 1,
    orange at `limit`. (S, S, 3) in [0, 1].
    """
    size = image.shape[-1]
    grey = ((image.mean(0) + 1) / 2).clamp(0, 1)[..., None].numpy()
    weights = torch.as_tensor(weights, dtype=torch.float32)
    share = torch.where(weights < 1, weights / 2, 0.5 + (weights - 1) / (2 * (limit - 1)))[
        None, None
    ]
    share = (
        torch.nn.functional.interpolate(share, size=(size, size), mode="nearest")[0, 0]
        .clamp(0, 1)
        .numpy()
    )
    return (0.4 + 0.6 * grey) * tint(share)


def overlay_png(image, weights, limit: float = 2.0, size: int = 256) -> bytes:
    """`overlay` as a PNG of size × size pixels for an ipywidgets.Image: a few milliseconds, where a
    matplotlib figure takes hundreds.
    """
    pixels = (overlay(image, weights, limit) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(
        buffer, format="png"
    )
    return buffer.getvalue()
