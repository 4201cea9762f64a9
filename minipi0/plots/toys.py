"""Notebook 03's pictures: paths around the disc, clouds over their target, a few runs side by side,
what a point tells of tau.
"""

import torch
from matplotlib.patches import Circle

from minipi0.plots import style

COLOURS = (style.REGRESSION, style.GAUSSIAN, style.FLOW, style.PATH)


def paths(panels: dict, obstacle, colours=None, show: int = 60):
    """A panel per entry {title: paths (B, T, 2)}: the first `show` paths past the disc; those that
    hit it are drawn in black.

    colours: of the paths that do not, one per panel. Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.9, 2.9), squeeze=False, sharey=True)
    for ax, (title, some), colour in zip(
        axes[0], panels.items(), colours or [style.DATA] * len(panels), strict=True
    ):
        hits = obstacle.collides(some)
        ax.add_patch(Circle((0, 0), obstacle.radius, **style.OBSTACLE))
        for path, hit in zip(some[:show], hits, strict=False):
            ax.plot(*path.T, color="black" if hit else colour, lw=0.7, alpha=0.5 if hit else 0.45)
        ax.plot(*obstacle.start, "k>", ms=7, zorder=4)
        ax.plot(*obstacle.goal, "k*", ms=11, zorder=4)
        ax.set(xlim=(-2.3, 2.3), ylim=(-1.6, 1.6), aspect="equal", xlabel="x")
        ax.set_title(f"{title}\n{hits.float().mean():.1%} hit the disc (black)")
    axes[0, 0].set_ylabel("y: left is up")
    return fig


def clouds(panels: dict, target, colours=None, limit: float = 3.0):
    """A panel per entry {title: points (N, 2)}, over the target's components (discs of two std).

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.1, 3.4), squeeze=False, sharey=True)
    for ax, (title, points), colour in zip(
        axes[0], panels.items(), colours or [style.DATA] * len(panels), strict=True
    ):
        for mean in target.means:
            ax.add_patch(
                Circle(mean.tolist(), 2 * target.std, facecolor=style.DATA, alpha=0.25, lw=0)
            )
        ax.plot(*points.T, ".", color=colour, ms=2, alpha=0.5)
        if points.std(0).max() < target.std:  # all on one spot, easily overlooked
            ax.annotate(
                f"all {len(points):,}\nare here",
                points.mean(0).tolist(),
                (0, 22),
                textcoords="offset points",
                ha="center",
                arrowprops={"arrowstyle": "->"},
            )
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", title=title)
    return fig


def runs(panels: dict):
    """A panel per measure {title: {name: one number per run}}: every run a dot, their mean a bar.

    Titles that end in "(log)" get a logarithmic axis. Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.7, 3.0), squeeze=False)
    for ax, (title, measured) in zip(axes[0], panels.items(), strict=True):
        for i, ((_, values), colour) in enumerate(zip(measured.items(), COLOURS, strict=False)):
            values = torch.as_tensor(values, dtype=torch.float64)
            ax.plot(i + torch.linspace(-0.18, 0.18, len(values)), values, "o", color=colour, ms=6)
            ax.hlines(values.mean(), i - 0.32, i + 0.32, color=colour, lw=1.5)
        ax.set_xticks(range(len(measured)), list(measured))
        ax.set_xlim(-0.6, len(measured) - 0.4)
        if title.endswith("(log)"):
            ax.set_yscale("log")
            title = title.removesuffix("(log)").strip()
        else:
            ax.set_ylim(bottom=0)
        ax.set_title(title)
    return fig


def guess_of_tau(panels: dict):
    """A panel per entry {title: (tau, mean, std)}: what a point alone tells of its tau, each (N,).

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.8, 3.6), squeeze=False, sharey=True)
    for ax, (title, (tau, mean, std)) in zip(axes[0], panels.items(), strict=True):
        ax.errorbar(
            tau, mean, yerr=std, fmt=".", color=style.FLOW, ecolor=style.NOISE, elinewidth=0.6, ms=4
        )
        ax.plot([0, 1], [0, 1], "k--", lw=0.8)
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=r"true $\tau$", title=title)
    axes[0, 0].set_ylabel(r"$\tau$ guessed from the point: mean ± std")
    return fig


def error_over_tau(taus, errors: dict, densities: dict):
    """Left: how often each rule asks for a tau, {name: (T,)}.

    Right: the learned field's error there, {name: (runs, T)}, every run thin.

    Returns the figure.
    """
    fig, (left, right) = style.figure(1, 2, size=(4.4, 3.4))
    for name, colour in zip(errors, (style.FLOW, style.PATH), strict=False):
        left.plot(taus, densities[name], color=colour, lw=2, label=name)
        right.plot(taus, torch.as_tensor(errors[name]).T, color=colour, lw=0.6, alpha=0.6)
        right.plot(taus, torch.as_tensor(errors[name]).mean(0), color=colour, lw=2, label=name)
    left.set(xlabel=r"$\tau$", title="training density", ylim=(0, None))
    right.set(
        xlabel=r"$\tau$",
        title="distance of the learned field to the exact one (rms)",
        ylim=(0, None),
    )
    left.legend()
    return fig
