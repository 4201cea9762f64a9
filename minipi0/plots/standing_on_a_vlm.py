"""Notebook 07's pictures: demonstrations a name, paths of demonstrators, success in bars."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from minipi0.plots import style
from minipi0.plots.shared import Trainings, dots, pooled, success_bars

STARTS = {"vlm": ("from the VLM", style.FLOW), "scratch": ("from scratch", style.REGRESSION)}


def counts(found: dict[str, dict[str, dict[int, Trainings]]], chance: float = 1 / 3):
    """What a beginning gives, against demonstrations a name: four panels, in two rows.

    All trials with Wilson's 95 % interval, and a small dot for every training.
    found: {title of a panel: {start: {demonstrations: trainings}}}. chance: of any of the things.
    Returns the figure.
    """
    fig, axes = style.figure(2, 2, size=(4.6, 2.9), sharex=True, sharey=True)
    for ax, (group, starts) in zip(axes.flat, found.items(), strict=True):
        for start, points in starts.items():
            name, colour = STARTS[start]
            rates = np.array([pooled(trainings) for trainings in points.values()])
            ax.plot(list(points), rates[:, 0], "o-", color=colour, label=name, ms=4)
            for count, trainings in points.items():
                dots(ax, count, trainings, colour)
            ax.fill_between(list(points), *rates[:, 1:].T, color=colour, alpha=0.2, lw=0)
        ax.axhline(chance, color=style.INK, lw=0.8, ls=":")
        ax.set(xscale="log", ylim=(0, 1), title=group)
        ax.set_xticks(list(points), [str(count) for count in points])
        ax.minorticks_off()
    for ax in axes[1]:
        ax.set_xlabel("demonstrations a name")
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].legend(loc="upper left")
    return fig


def paths(manners: dict[str, list], things: list):
    """The hand's path seen from above, for each manner of demonstrating the same scenes.

    manners: {name: float[T, 2] of every scene, in metres}. things: of every scene, their places
        float[N, 2], the one that is asked for first.
    Returns the figure.
    """
    fig, axes = style.figure(len(manners), len(things), size=(2.6, 2.4), squeeze=False)
    for row, (name, hands) in zip(axes, manners.items(), strict=True):
        for ax, hand, places in zip(row, hands, things, strict=True):
            ax.plot(*places[1:].T, "o", color=style.FAINT, mec=style.INK, ms=13)
            ax.plot(*places[0], "o", color=style.ONE_STEP, ms=13)
            ax.plot(*hand.T, ".-", color=style.DATA, lw=1.2, ms=4)
            ax.plot(*hand[0], "s", color=style.DATA, ms=6)
            ax.set(xlim=(-0.32, 0.32), ylim=(0.4, 0.92), aspect="equal", xticks=[], yticks=[])
            ax.set_title(f"{name}, {(len(hand) - 1) / 10:.1f} s", fontsize=9)
    return fig


def bars(found: dict[str, dict[str, Trainings]], chance: float):
    """Success of several policies in several groups of trials, with Wilson's 95 % interval.

    A small dot stands for a training.
    found: {policy: {group: trainings}}. chance: a line for what a blind choice would get.
    Returns the figure.
    """
    fig, ax = style.figure(size=(max(6.0, 1.9 * len(next(iter(found.values())))), 3.3))
    several = (style.FLOW, style.ONE_STEP, style.DATA, style.GAUSSIAN, style.REGRESSION, style.PATH)
    success_bars(ax, found, several, chance)
    ax.figure.legend(loc="outside lower center", ncols=3)
    return fig
