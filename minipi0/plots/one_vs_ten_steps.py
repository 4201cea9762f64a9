"""Notebook 04's pictures: error against steps, where paths bend, solvers, what a step costs."""

import torch

from minipi0 import flow
from minipi0.plots import style

SOLVERS = ((style.ONE_STEP, "o"), (style.FLOW, "s"), (style.PATH, "^"), (style.DATA, "D"))


def curves(panels: dict):
    """A log-log panel per entry, against the number of Euler steps.

    panels: {title: {name: (x, y, colour, line style)}}

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(5.0, 4.0), squeeze=False)
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for name, (x, y, colour, line) in lines.items():
            ax.loglog(x, y, line, color=colour, label=name, ms=4, lw=1.5)
        ax.set(xlabel="Euler steps n", title=title)
        ax.legend(fontsize=8.5)
    return fig


def bending(taus, parts: dict, modes_left):
    """Over tau: the mean acceleration with its parts, and how many modes are still possible.

    taus, modes_left: float[T]
    parts: {name: (values float[T], colour)}

    Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.4, 3.4))
    for name, (values, colour) in parts.items():
        left.plot(taus, values, color=colour, lw=2, label=name)
    left.set(xlabel=r"$\tau$", title=r"acceleration $|d^2x/d\tau^2|$, mean", ylim=(0, None))
    left.legend()
    right.plot(taus, modes_left, color=style.DATA, lw=2)
    right.set(xlabel=r"$\tau$", title="modes still possible, mean", ylim=(0, None))
    return fig


def bent_where(panels: dict, target):
    """The mean acceleration over the plane, a map per entry; the target's modes are circled.

    panels: {title: (points float[N, 2], acceleration there float[N])}
    target: a toys.GaussianMixture

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.8, 3.6), squeeze=False, sharey=True)
    look = dict(gridsize=36, extent=(-style.CLOSE, style.CLOSE) * 2, mincnt=5, linewidths=0.1)
    for ax, (title, (points, strength)) in zip(axes[0], panels.items(), strict=True):
        cells = ax.hexbin(*points.T, C=strength, vmin=0, vmax=12, **look)
        style.discs(ax, target, "white", fill=0)
        style.square(ax, style.CLOSE, title=title)
    fig.colorbar(cells, ax=axes[0, -1], shrink=0.85, extend="max", label=r"$|d^2x/d\tau^2|$")
    return fig


def tangents(mixture, start, steps, window):
    """One particle: its true curve, its Euler steps, and where each step's tangent aims at tau = 1.

    mixture: a toys.GaussianMixture
    start: two numbers, the noise
    steps: numbers of Euler steps, a panel each
    window: ((left, right), (bottom, top)), the part of the plane to show

    Returns the figure.
    """
    noise = torch.tensor([start], dtype=torch.float64)
    true = flow.euler(mixture.velocity, noise, 1000, path=True)[:, 0]
    fig, axes = style.figure(1, len(steps), size=(2.75, 3.6), squeeze=False, sharey=True)
    for ax, n in zip(axes[0], steps, strict=True):
        path = flow.euler(mixture.velocity, noise, n, path=True)[:, 0]
        style.discs(ax, mixture)
        ax.plot(*true.T, color=style.FLOW, lw=3, label="true curve")
        for i, here in enumerate(path[:-1]):
            aim = here + (n - i) * (path[i + 1] - here)
            ax.plot(*torch.stack([here, aim]).T, ":", color=style.REGRESSION, lw=0.9)
            ax.plot(*aim, "x", color=style.REGRESSION, ms=5)
        ax.plot([], [], "x:", color=style.REGRESSION, label="what a step aims at")
        ax.plot(*path.T, "o-", color=style.ONE_STEP, lw=1.5, ms=4, label="Euler steps")
        ax.plot(*noise[0], "o", color=style.NOISE, ms=8, label=r"noise $\epsilon$")
        ax.set(xlim=window[0], ylim=window[1], aspect="equal")
        missed = (path[-1] - true[-1]).norm()
        ax.set_title(f"{n} step{'s' * (n > 1)}: misses by {missed:.2f}")
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=4)
    return fig


def solvers(panels: dict):
    """The error of each solver against what it costs, a log-log panel per entry.

    panels: {title: {solver: (evaluations, error)}}

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(4.6, 3.8), squeeze=False, sharey=True)
    for ax, (title, measured) in zip(axes[0], panels.items(), strict=True):
        for (name, curve), (colour, marker) in zip(measured.items(), SOLVERS, strict=False):
            ax.loglog(*curve, marker=marker, color=colour, label=name, ms=5, lw=1.2)
        ax.axvline(10, color=style.INK, lw=0.7, ls=":")
        ax.set(xlabel="evaluations of the field", title=title)
    axes[0, 0].set_ylabel("mean distance to the true endpoint")
    axes[0, 0].legend()
    return fig


def trails(panels: dict, target):
    """Trajectories from noise over the target, a panel per entry.

    panels: {title: float[steps + 1, B, 2]}
    target: a toys.GaussianMixture

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.8, 4.0), squeeze=False, sharey=True)
    for ax, (title, path) in zip(axes[0], panels.items(), strict=True):
        style.discs(ax, target)
        ax.plot(*path.permute(2, 0, 1), color=style.PATH, lw=0.8, alpha=0.8)
        ax.plot(*path[0].T, ".", color=style.NOISE, ms=4)
        ax.plot(*path[-1].T, ".", color=style.FLOW, ms=4)
        style.square(ax, style.CLOSE, title=title)
    return fig
