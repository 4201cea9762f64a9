"""Notebook 03's pictures: one answer to all noise, what a point tells of tau, a field's error."""

import torch

from minipi0.plots import style
from minipi0.plots.shared import disc

COLOURS = (style.REGRESSION, style.GAUSSIAN, style.FLOW, style.PATH)  # (a), (b), (c), exact


def one_go(noise, output, obstacle):
    """What a regression gets, scribbles of noise, and what it answers, a chunk each.

    noise, output: float[B, T, 2]; 60 of them are drawn
    obstacle: a toys.Obstacle

    Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(3.9, 3.2))
    for ax, chunks, colour in ((left, noise, style.NOISE), (right, output, style.REGRESSION)):
        disc(ax, obstacle)
        for chunk in chunks[:60]:
            ax.plot(*chunk.T, color=colour, lw=0.7, alpha=0.5)
        style.square(ax, 2.6, **style.TICKS)
    left.set_title("in: 60 scribbles of noise")
    hits = obstacle.collides(output).float().mean()
    right.set_title(f"out: 60 paths, {hits:.0%} hit the disc")
    arrow = {"arrowstyle": "->", "color": style.INK}
    look = dict(xytext=(0, 60), textcoords="offset points", ha="center")
    right.annotate("all 60 are here", (0, 0.1), arrowprops=arrow, **look)
    return fig


def guess_of_tau(panels: dict):
    """What a point alone tells of its tau, a panel per entry.

    panels: {title: (tau, mean, std)}, float[N] each

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.8, 3.6), squeeze=False, sharey=True)
    look = dict(fmt=".", color=style.FLOW, ecolor=style.NOISE, elinewidth=0.6, ms=4)
    for ax, (title, (tau, mean, std)) in zip(axes[0], panels.items(), strict=True):
        ax.errorbar(tau, mean, yerr=std, **look)
        ax.plot([0, 1], [0, 1], "--", color=style.INK, lw=0.8)
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=r"true $\tau$", title=title)
    axes[0, 0].set_ylabel(r"$\tau$ guessed from the point: mean ± std")
    return fig


def error_over_tau(taus, errors: dict, densities: dict):
    """How often each rule draws a tau, and how far the field it learned is off there.

    taus: float[T]
    errors: {name: float[runs, T]}, every run a thin line
    densities: {name: float[T]}

    Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.4, 3.4))
    for (name, error), colour in zip(errors.items(), (style.FLOW, style.PATH), strict=False):
        error = torch.as_tensor(error)
        left.plot(taus, densities[name], color=colour, lw=2, label=name)
        right.plot(taus, error.T, color=colour, lw=0.6, alpha=0.6)
        right.plot(taus, error.mean(0), color=colour, lw=2, label=name)
    left.set(xlabel=r"$\tau$", title="training density", ylim=(0, None))
    right.set(xlabel=r"$\tau$", ylim=(0, None))
    right.set_title("distance of the learned field to the exact one (rms)")
    left.legend()
    return fig
