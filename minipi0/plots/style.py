"""One look for every picture and widget: colours, the window, how a figure is opened."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.patches import PathPatch
from matplotlib.path import Path

# What a colour means, in every figure and widget: the browser gets all of these.
# Each has a contrast of 3 to white and to JupyterLab's dark page (#111), and differs from every
# other also for readers with deuteranopia (tests/test_plots.py simulates it).
NOISE = "#646462"
DATA = "#1866f8"
FLOW = "#1ca862"
ONE_STEP = "#dd7700"
REGRESSION = "#ac3c16"
GAUSSIAN = "#964696"
PATH = "#1499e9"
INK = "#797979"  # of texts, axes and reference lines: contrast 4.3 to both pages
FAINT = (0.47, 0.47, 0.47, 0.2)  # of areas behind the curves
OBSTACLE = dict(facecolor=FAINT, edgecolor=INK, zorder=0)
IMAGE, TEXT, STATE, ACTION, PADDING = DATA, PATH, ONE_STEP, FLOW, NOISE  # the model's tokens

# From below to above a middle: without a colour, so that it is the page's; and in mid grey, with a
# contrast of 3 to both pages and of 4 to black everywhere
DIVERGING = LinearSegmentedColormap.from_list(
    "clear in the middle",
    [(0, DATA), (0.5, to_rgba(DATA, 0)), (0.5, to_rgba(ONE_STEP, 0)), (1, ONE_STEP)],
)
DIVERGING_GREY = LinearSegmentedColormap.from_list("grey in the middle", [PATH, INK, ONE_STEP])

EXTENT = 3.4  # widgets and their static twins show the plane from -EXTENT to EXTENT
CLOSE = 3.0  # clouds and maps show it from -CLOSE to CLOSE
TICKS = dict(xticks=(-2, 0, 2), yticks=(-2, 0, 2))
IN_PLANE = dict(angles="xy", scale_units="xy", scale=1)  # a quiver's arrows, in the plane's units

WIDEST = 1000  # pixels of the page
RC = {
    "figure.dpi": 90,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.frameon": False,
    "font.size": 10,
}
RC |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none")
RC |= dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), INK)
RC |= dict.fromkeys(("xtick.color", "ytick.color", "patch.edgecolor", "hatch.color"), INK)


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (4.0, 3.6), **kwargs):
    """plt.subplots in the house style: (figure, axes).

    The style stays set, so that texts and lines added later have it too.

    size: of one panel, in inches. Where the panels together are wider than WIDEST pixels they are
        made narrower, and half as much lower, as titles and legends keep their size.
    """
    plt.rcParams.update(RC)
    shrink = min(1, WIDEST / RC["figure.dpi"] / (size[0] * columns))
    whole = (size[0] * columns * shrink, size[1] * rows * (1 + shrink) / 2)
    return plt.subplots(rows, columns, figsize=whole, **kwargs)


def square(ax, limit: float, **kwargs) -> None:
    """Show the plane from -limit to limit both ways; kwargs as for ax.set."""
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", **kwargs)


def discs(ax, mixture, colour=DATA, fill: float = 0.3) -> None:
    """A toys.GaussianMixture as a disc of two standard deviations per component.

    Discs that touch have one rim around them, as in the widgets.

    colour: of rim and inside. fill: opacity of the inside
    """
    means, radius = np.asarray(mixture.means), 2 * mixture.std
    whole = Path.make_compound_path(*(Path.circle(mean, radius) for mean in means))
    ax.add_patch(PathPatch(whole, facecolor=colour, alpha=fill, lw=0))
    angles = np.linspace(0, 2 * np.pi, 181)
    circle = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    for i, mean in enumerate(means):
        rim = mean + circle
        to_others = np.linalg.norm(rim[:, None] - np.delete(means, i, 0), axis=2)  # (181, others)
        rim[(to_others < radius).any(1)] = np.nan
        ax.plot(*rim.T, color=colour, lw=1.2, zorder=1)
