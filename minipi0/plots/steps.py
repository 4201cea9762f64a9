"""Notebook 04's pictures: error against steps, where paths bend, solvers at equal cost,
straightened paths, what a step costs.
"""

import torch
from matplotlib.patches import Circle

from minipi0.plots import style

SOLVERS = ((style.ONE_STEP, "o"), (style.FLOW, "s"), (style.PATH, "^"), (style.DATA, "D"))


def curves(panels: dict, xlabel: str = "Euler steps n"):
    """A log-log panel per entry {title: {name: (x, y, colour, line style)}}. Returns the figure."""
    fig, axes = style.figure(1, len(panels), size=(5.0, 4.0), squeeze=False)
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for name, (x, y, colour, line) in lines.items():
            ax.loglog(x, y, line, color=colour, label=name, ms=4, lw=1.5)
        ax.set(xlabel=xlabel, title=title)
        ax.legend(fontsize=8.5)
    return fig


def bending(taus, parts: dict, modes_left):
    """Over tau, (T,) each: the mean acceleration and its parts {name: (values, colour)}; how many
    modes are still possible.

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


def bent_where(panels: dict, target, limit: float = 3.0, most: float = 12.0):
    """A map per entry {title: (points (N, 2), |x''| there (N,))}: its mean over the plane, modes
    circled. Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.8, 3.6), squeeze=False, sharey=True)
    for ax, (title, (points, strength)) in zip(axes[0], panels.items(), strict=True):
        extent = (-limit, limit, -limit, limit)
        cells = ax.hexbin(
            *points.T,
            C=strength,
            gridsize=36,
            extent=extent,
            mincnt=5,
            linewidths=0.1,
            vmin=0,
            vmax=most,
        )
        for mean in target.means:
            ax.add_patch(
                Circle(mean.tolist(), 2 * target.std, fill=False, edgecolor="white", lw=1.2)
            )
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", title=title)
    fig.colorbar(cells, ax=axes[0, -1], shrink=0.85, extend="max", label=r"$|d^2x/d\tau^2|$")
    return fig


def solvers(panels: dict):
    """A log-log panel per entry {title: {solver: (evaluations, error)}}. Returns the figure."""
    fig, axes = style.figure(1, len(panels), size=(4.6, 3.8), squeeze=False, sharey=True)
    for ax, (title, measured) in zip(axes[0], panels.items(), strict=True):
        for (name, (evaluations, error)), (colour, marker) in zip(
            measured.items(), SOLVERS, strict=False
        ):
            ax.loglog(evaluations, error, marker=marker, color=colour, label=name, ms=5, lw=1.2)
        ax.axvline(10, color="black", lw=0.7, ls=":")
        ax.set(xlabel="evaluations of the field", title=title)
    axes[0, 0].set_ylabel("mean distance to the true endpoint")
    axes[0, 0].legend()
    return fig


def trails(panels: dict, target, show: int = 60):
    """A panel per entry {title: paths (steps + 1, B, 2)}: trajectories from noise over the target.

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.8, 4.0), squeeze=False, sharey=True)
    for ax, (title, path) in zip(axes[0], panels.items(), strict=True):
        for mean in target.means:
            ax.add_patch(
                Circle(mean.tolist(), 2 * target.std, facecolor=style.DATA, alpha=0.25, lw=0)
            )
        ax.plot(*path[:, :show].permute(2, 0, 1), color=style.PATH, lw=0.8, alpha=0.8)
        ax.plot(*path[0, :show].T, ".", color=style.NOISE, ms=4)
        ax.plot(*path[-1, :show].T, ".", color=style.FLOW, ms=4)
        ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", title=title)
    return fig


def latency(steps, fixed: dict, per_step: float):
    """A bar per number of steps: the parts that are paid once {name: ms}, then steps x per_step ms.

    Returns the figure.
    """
    fig, ax = style.figure(size=(5.6, 2.9))
    names, left = [str(n) for n in steps], torch.zeros(len(steps))
    for (name, cost), colour in zip(fixed.items(), (style.NOISE, style.DATA), strict=True):
        ax.barh(names, cost, left=left, color=colour, label=f"{name}, {cost:g} ms")
        left = left + cost
    ax.barh(
        names,
        [n * per_step for n in steps],
        left=left,
        color=style.FLOW,
        label=f"action steps, {per_step:g} ms each",
    )
    for i, n in enumerate(steps):
        ax.text(left[i] + n * per_step + 2, i, f"{left[i] + n * per_step:.0f} ms", va="center")
    ax.set(xlabel="ms per action chunk (RTX 4090, three cameras)", ylabel="Euler steps")
    ax.set_xlim(0, 1.18 * (left[-1] + max(steps) * per_step))
    ax.invert_yaxis()
    ax.legend(fontsize=8.5)
    return fig
