"""Pictures that several notebooks draw: chunks around the disc, clouds, camera frames, success of
several trainings.
"""

import numpy as np
from matplotlib.patches import Circle
from matplotlib.ticker import PercentFormatter

from minipi0.intervals import success_interval
from minipi0.plots import style

Trainings = list[tuple[int, int]]  # of every training of one kind: (successes, trials)


def scribbles(path, taus, obstacle, count: int = 30):
    """Chunks on their path from noise to action: a panel per tau, a line per chunk.

    path: float[steps + 1, B, T, 2], noise first, as `flow.euler(..., path=True)` gives it
    taus: where to look, multiples of 1 / steps
    obstacle: a toys.Obstacle
    count: how many of the chunks to draw

    Returns the figure.
    """
    fig, axes = style.figure(1, len(taus), size=(2.2, 2.3), squeeze=False, sharey=True)
    names = {0: ": noise", 1: ": actions"}
    for ax, tau in zip(axes[0], taus, strict=True):
        disc(ax, obstacle)
        for way_points in path[round(tau * (len(path) - 1))][:count]:
            colour = style.FLOW if tau == 1 else style.NOISE
            ax.plot(*way_points.T, color=colour, lw=0.8, alpha=0.6)
        style.square(ax, 2.6, xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        ax.set_title(rf"$\tau$ = {tau:g}" + names.get(tau, ""))
    return fig


def driven(panels: dict, obstacle, count: int = 60):
    """A panel per set of finished chunks: green where they pass the disc, red where they hit it.

    panels: {title: float[B, T, 2]}
    obstacle: a toys.Obstacle
    count: how many chunks of a panel to draw; the title counts all

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.9, 2.9), squeeze=False, sharey=True)
    for ax, (title, some) in zip(axes[0], panels.items(), strict=True):
        hits = obstacle.collides(some)
        disc(ax, obstacle)
        for path, hit in zip(some[:count], hits, strict=False):
            colour, lw, alpha = (style.REGRESSION, 1.2, 0.9) if hit else (style.FLOW, 0.8, 0.5)
            ax.plot(*path.T, color=colour, lw=lw, alpha=alpha)
        ax.set(xlim=(-2.3, 2.3), ylim=(-1.6, 1.6), aspect="equal", xlabel="x")
        ax.set_title(f"{title}\n{hits.float().mean():.1%} hit the disc (red)", fontsize=10)
    axes[0, 0].set_ylabel("y: left is up")
    return fig


def clouds(panels: dict, target, colours=None):
    """A panel per cloud of points, over the target's components (discs of two std).

    panels: {title: points float[N, 2]}
    target: a toys.GaussianMixture
    colours: one per panel

    Returns the figure.
    """
    fig, axes = style.figure(1, len(panels), size=(3.1, 3.4), squeeze=False, sharey=True)
    colours = colours or [style.DATA] * len(panels)
    for ax, (title, points), colour in zip(axes[0], panels.items(), colours, strict=True):
        style.discs(ax, target)
        ax.plot(*points.T, ".", color=colour, ms=2, alpha=0.5)
        if points.std(0).max() < target.std / 2:  # all on one spot, easily overlooked
            text = f"all {len(points):,}\nare here"
            arrow = {"arrowstyle": "->", "color": style.INK}
            offset = dict(xytext=(0, 17), textcoords="offset points", ha="center", fontsize=9)
            ax.annotate(text, points.mean(0).tolist(), arrowprops=arrow, **offset)
        style.square(ax, style.CLOSE, title=title)
    return fig


def frames(images, titles):
    """Camera frames in a row.

    images: float[N, 3, S, S] in [-1, 1]
    titles: N strings

    Returns the figure.
    """
    fig, axes = style.figure(1, len(images), size=(1.7, 1.9), squeeze=False)
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        ax.imshow(picture(image))
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    return fig


def success_bars(ax, found: dict[str, dict[str, Trainings]], colours, chance: float):
    """Draw success in groups of bars: all trials, Wilson's 95 % interval, a dot per training.

    found: {policy: {group: trainings}}
    colours: one per policy
    chance: a dotted line for what a blind choice would get
    """
    groups, width = list(next(iter(found.values()))), 0.8 / len(found)
    for i, ((name, results), colour) in enumerate(zip(found.items(), colours, strict=False)):
        at = np.arange(len(groups)) + (i - (len(found) - 1) / 2) * width
        rates = np.array([pooled(results[group]) for group in groups])
        ax.bar(at, rates[:, 0], width * 0.9, color=colour, label=name, lw=0)
        ax.vlines(at, *rates[:, 1:].T, color=style.INK, lw=1.5)
        for x, group in zip(at, groups, strict=True):
            dots(ax, x + width / 4, results[group], style.INK)
    ax.axhline(chance, color=style.INK, lw=0.8, ls=":")
    ax.set_xticks(range(len(groups)), groups)
    ax.set(ylim=(0, 1))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def pooled(trainings: Trainings) -> tuple[float, float, float]:
    """The rate of all trials together, and Wilson's 95 % interval."""
    return success_interval(*np.sum(trainings, axis=0).tolist())


def dots(ax, x: float, trainings: Trainings, colour) -> None:
    """Draw a dot for the rate of every training, seen on a bar of any colour."""
    look = dict(color=colour, ms=4, mec="white", mew=0.6)
    ax.plot([x] * len(trainings), [k / n for k, n in trainings], "o", **look)


def picture(image) -> np.ndarray:
    """float[3, S, S] in [-1, 1] -> float[S, S, 3] in [0, 1], as imshow takes it."""
    return np.asarray(image).transpose(1, 2, 0) / 2 + 0.5


def cells(ax, colours, wide=(), pixels: int = 24):
    """Draw a table of cells with clear lines between them.

    colours: float[R, C, 4], with their opacity
    wide: before which rows and columns a wider line runs
    pixels: of a cell, along a side
    """
    image = np.repeat(np.repeat(colours, pixels, 0), pixels, 1)
    for axis in (0, 1):
        for i in range(1, colours.shape[axis]):
            half = pixels // 12 if i in wide else 1
            lines = [slice(None)] * 2
            lines[axis] = slice(i * pixels - half, i * pixels + half)
            image[tuple(lines)] = 0
    rows, columns = colours.shape[:2]
    ax.imshow(image, interpolation="antialiased", extent=(-0.5, columns - 0.5, rows - 0.5, -0.5))


def disc(ax, obstacle):
    """Draw the disc, the start and the goal of a toys.Obstacle on an axes."""
    ax.add_patch(Circle((0, 0), obstacle.radius, **style.OBSTACLE))
    ax.plot(*obstacle.start, ">", color=style.INK, ms=7, zorder=4)
    ax.plot(*obstacle.goal, "*", color=style.INK, ms=11, zorder=4)
