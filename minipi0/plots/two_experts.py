"""Notebook 05's pictures: the tokens, who may attend to whom, influences, what a cache saves.

`groups` is a list of (name, number of tokens, colour), in the order of the sequence.
"""

import numpy as np
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.patches import Rectangle

from minipi0.plots import style
from minipi0.plots.shared import cells


def sequence(groups, notes):
    """The tokens as one strip, a cell each, coloured by group.

    notes: a line under each group

    Returns the figure.
    """
    fig, ax = style.figure(size=(10.5, 1.9))
    edges = _edges(groups)
    above, below = dict(ha="center", va="bottom"), dict(ha="center", va="top")
    below |= dict(fontsize=9)
    for (name, count, colour), start, note in zip(groups, edges, notes, strict=False):
        for i in range(count):
            ax.add_patch(Rectangle((start + i + 0.06, 0), 0.88, 1, color=colour, lw=0))
        # a small group has no room for its name: farther away, so that neighbours do not collide
        x, far = start + count / 2, count < 3
        line = dict(arrowstyle="-", color=style.INK, lw=0.7) if far else None
        ax.annotate(name, (x, 1), (x, 1.75 if far else 1.15), arrowprops=line, **above)
        ax.annotate(note, (x, 0), (x, -1.3 if far else -0.2), arrowprops=line, **below)
    ax.set(xlim=(-0.5, edges[-1] + 0.5), ylim=(-2.1, 2.6))
    ax.axis("off")
    return fig


def masks(panels: dict, groups):
    """Attention masks: rows are queries, columns keys; an allowed cell has its key's colour.

    panels: {title: bool[T, T]}

    Returns the figure.
    """
    width = 5.2 if len(panels) == 1 else 4.3
    fig, axes = style.figure(1, len(panels), size=(width, 4.6), squeeze=False)
    edges = _edges(groups)
    middles = [(a + b) / 2 - 0.5 for a, b in zip(edges, edges[1:], strict=False)]
    names = [name for name, _, _ in groups]
    colours = np.array([to_rgba(colour) for _, count, colour in groups for _ in range(count)])
    for ax, (title, allowed) in zip(axes[0], panels.items(), strict=True):
        allowed = np.asarray(allowed)[..., None]
        cells(ax, np.where(allowed, colours[None], style.FAINT), wide=edges)
        ax.set_xticks(middles, names, rotation=90)
        ax.set_yticks(middles, names)
        ax.tick_params(length=0)
        ax.set(title=title, xlabel="key (a cell has its colour)")
        ax.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("query")
    return fig


def time_embedding(taus, embedding):
    """The embedding of each tau as a picture, and three of its rows as curves.

    taus: float[T]
    embedding: float[T, W]

    Returns the figure.
    """
    ratios = {"width_ratios": [1.25, 1]}
    fig, (left, right) = style.figure(1, 2, size=(5.0, 3.5), gridspec_kw=ratios)
    half = embedding.shape[1] // 2
    look = dict(cmap="RdBu", vmin=-1, vmax=1, extent=(0, 1, 2 * half, 0), interpolation="nearest")
    image = left.imshow(embedding.T, aspect="auto", **look)
    left.axhline(half, color="black", lw=0.8)
    left.set_yticks([half / 2, 1.5 * half], ["sines", "cosines"], rotation=90, va="center")
    left.set_xlabel(r"$\tau$")
    left.set_title("each column is the embedding of one τ")
    fig.colorbar(image, ax=left, shrink=0.8)
    rows = {half // 2: style.GAUSSIAN, 3 * half // 4: style.ONE_STEP, half - 1: style.DATA}
    for i, colour in rows.items():
        period = 4e-3 * 1000 ** (i / (half - 1))
        right.plot(taus, embedding[:, i], color=colour, label=f"sine {i}: period {period:.2g}")
    right.set(xlabel=r"$\tau$", title="three of its sines", ylim=(-1.1, 1.6))
    right.legend(loc="upper center", ncols=1, fontsize=8)
    return fig


def influence(change, rows, columns):
    """How much each output moves when each input is disturbed; zeros have no colour.

    change: float[R, C], row: the input, column: the output
    rows, columns: their names

    Returns the figure.
    """
    change = np.asarray(change)
    fig, ax = style.figure(size=(6.2, 4.2))
    low, high = change[change > 0].min(), change.max()
    seen = np.where(change > 0, change, np.nan)
    image = ax.imshow(seen, cmap="YlGnBu", norm=LogNorm(low / 3, high), aspect="auto")
    for (i, j), value in np.ndenumerate(change):
        colour = "white" if value > np.sqrt(low * high) else "0.2" if value else style.INK
        text = f"{value:.2g}" if value else "0"
        ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=9)
    ax.set_xticks(range(len(columns)), columns, rotation=20, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.set(xlabel="whose output is watched", ylabel="whose input is disturbed")
    ax.spines[:].set_visible(False)
    fig.colorbar(image, ax=ax, label="relative change of the output", shrink=0.85)
    return fig


def costs(panels: dict):
    """What prefix and action expert cost, stacked, a panel per unit.

    panels: {title: (unit, {bar: (prefix part, action-step part)})}

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(4.6, 2.7))
    for ax, (title, (unit, bars)) in zip(axes, panels.items(), strict=True):
        prefix, steps = np.array(list(bars.values())).T
        ax.barh(range(len(bars)), prefix, color=style.IMAGE, label="prefix (images, text)")
        ax.barh(range(len(bars)), steps, left=prefix, color=style.ACTION, label="action expert")
        for y, total in enumerate(prefix + steps):
            ax.annotate(f" {total:.3g}", (total, y), va="center")
        ax.set_yticks(range(len(bars)), bars)
        ax.invert_yaxis()
        ax.set(title=title, xlabel=unit)
        ax.margins(x=0.15)
    both = axes[0].get_legend_handles_labels()
    fig.legend(*both, loc="outside upper center", ncols=2, fontsize=8)
    return fig


def chunk_errors(errors: dict, samples: dict):
    """The error of the best velocity per action of the chunk, and a chunk drawn by each.

    errors, samples: {name: float[H]}

    Returns the figure.
    """
    fig, axes = style.figure(1, 2, size=(4.9, 3.3))
    palette = (style.INK, style.FLOW, style.ONE_STEP, style.REGRESSION)
    colours = dict(zip(samples, palette, strict=False))
    for ax, curves in zip(axes, (errors, samples), strict=True):
        for name, values in curves.items():
            step = range(1, len(values) + 1)
            ax.plot(step, values, "o-", ms=4, color=colours[name], label=name)
        ax.set(xlabel="action of the chunk")
    axes[0].set(ylabel="mean squared error of the velocity", ylim=(0, None))
    axes[0].set_title("error that no network can remove")
    axes[1].set(title="one chunk, from the same noise", ylabel="action")
    axes[1].legend(loc="best", fontsize=8)
    return fig


def _edges(groups) -> list[int]:
    return np.cumsum([0, *(count for _, count, _ in groups)]).tolist()
