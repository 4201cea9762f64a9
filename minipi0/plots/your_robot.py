"""Notebook 13's pictures: a film, success with intervals, what the robot waits for, hand paths."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from minipi0.plots import style

COLOURS = (style.NOISE, style.FLOW, style.ONE_STEP, style.DATA, style.GAUSSIAN, style.REGRESSION)


def film(rows: dict, columns: int = 6, fps: int = 10):
    """Episodes as rows of pictures. rows: {title: uint8[T, H, W, 3]}. Returns the figure."""
    fig, axes = style.figure(len(rows), columns, size=(1.5, 1.7), squeeze=False)
    for row, (title, pictures) in zip(axes, rows.items(), strict=True):
        chosen = np.linspace(0, len(pictures) - 1, columns).round().astype(int)
        for ax, k in zip(row, chosen, strict=True):
            ax.imshow(pictures[k])
            ax.set_title(f"{k / fps:.1f} s", fontsize=9, loc="left")
            ax.axis("off")
        row[0].set_title(f"{title}\n0.0 s", fontsize=9, loc="left")
    return fig


def success(rows: dict):
    """Success rates with their intervals. rows: {name: (successes, trials, low, high)}."""
    fig, ax = style.figure(size=(7, 0.42 * len(rows) + 0.9))
    for row, (name, (k, n, low, high)) in enumerate(rows.items()):
        look = dict(color=COLOURS[row % len(COLOURS)])
        ax.plot([low, high], [row, row], lw=4, solid_capstyle="butt", **look)
        ax.plot(k / n, row, "o", ms=8, label=name, **look)
        side = dict(textcoords="offset points", va="center", fontsize=9)
        ax.annotate(f"{k} of {n}", (high, row), (8, 0), **side)
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), xlim=(-0.03, 1.18))
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel="success, with its 95 % interval (Wilson)")
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return fig


def waiting(rows: dict, step: float = 0.1):
    """How long the robot waited for each action. rows: {title: seconds[T]}; step: of control."""
    fig, axes = style.figure(1, len(rows), size=(4.2, 2.6), squeeze=False, sharey=True)
    for ax, (title, seconds) in zip(axes[0], rows.items(), strict=True):
        ax.bar(np.arange(len(seconds)), 1000 * np.asarray(seconds), color=style.FLOW)
        ax.axhline(1000 * step, color=style.NOISE, lw=1, ls="--")
        ax.set(title=title, xlabel="control step", ylim=(0, None))
    axes[0, 0].set_ylabel("waited for the action, ms")
    place = dict(textcoords="offset points", ha="right", fontsize=9)
    axes[0, -1].annotate("a control step", (len(seconds), 1000 * step), (0, 3), **place)
    return fig


def paths(rows: dict):
    """Where the hand went: from above, and from the side.

    rows: {name: list of float[T, 3+]}, the states of some episodes, in metres. Returns the figure.
    """
    fig, axes = style.figure(1, 2, size=(4.0, 3.2))
    views = (("from above", 0, "to the right, m"), ("from the side", 2, "up, m"))
    for ax, (title, dim, label) in zip(axes, views, strict=True):
        for colour, (name, states) in zip(
            (style.FLOW, style.REGRESSION), rows.items(), strict=True
        ):
            for i, one in enumerate(states):
                label_once = dict(label=name) if i == 0 else {}
                ax.plot(one[:, 1], one[:, dim], "-", color=colour, lw=1.2, alpha=0.8, **label_once)
                ax.plot(one[-1, 1], one[-1, dim], "o", color=colour, ms=4)
        ax.set(title=title, xlabel="ahead, m", ylabel=label, aspect="equal")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig
