"""Pictures that several notebooks draw: clouds over their target, camera frames."""

import numpy as np

from minipi0.plots import style


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
        if points.std(0).max() < target.std:  # all on one spot, easily overlooked
            text, arrow = f"all {len(points):,}\nare here", {"arrowstyle": "->"}
            offset = dict(xytext=(0, 22), textcoords="offset points", ha="center")
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


def picture(image) -> np.ndarray:
    """float[3, S, S] in [-1, 1] -> float[S, S, 3] in [0, 1], as imshow takes it."""
    return np.asarray(image).transpose(1, 2, 0) / 2 + 0.5
