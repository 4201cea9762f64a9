"""One look for every picture and widget: colours, the window, how a figure is opened."""

import matplotlib.pyplot as plt
from matplotlib.patches import Circle

# What a colour means, in every figure and widget: the browser gets all of these.
# Okabe-Ito: told apart by colour-blind readers and in print.
NOISE = "#999999"
DATA = "#0072B2"
FLOW = "#009E73"
ONE_STEP = "#E69F00"
REGRESSION = "#D55E00"
GAUSSIAN = "#CC79A7"
PATH = "#56B4E9"
OBSTACLE = dict(facecolor="#dddddd", edgecolor="#777777", zorder=0)
IMAGE, TEXT, STATE, ACTION, PADDING = DATA, PATH, ONE_STEP, FLOW, NOISE  # the model's tokens

EXTENT = 3.4  # widgets and their static twins show the plane from -EXTENT to EXTENT
CLOSE = 3.0  # clouds and maps show it from -CLOSE to CLOSE
TICKS = dict(xticks=range(-3, 4), yticks=range(-3, 4))
IN_PLANE = dict(angles="xy", scale_units="xy", scale=1)  # a quiver's arrows, in the plane's units

RC = {
    "figure.dpi": 90,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.frameon": False,
    "font.size": 10,
}


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (4.0, 3.6), **kwargs):
    """plt.subplots in the house style: (figure, axes).

    size: of one panel, in inches.
    """
    with plt.rc_context(RC):
        return plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), **kwargs)


def square(ax, limit: float, **kwargs) -> None:
    """Show the plane from -limit to limit both ways; kwargs as for ax.set."""
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", **kwargs)


def discs(ax, mixture, **kwargs) -> None:
    """A toys.GaussianMixture as a disc of two standard deviations per component."""
    look = {"facecolor": DATA, "alpha": 0.3, "lw": 0} | kwargs
    for mean in mixture.means:
        ax.add_patch(Circle(mean.tolist(), 2 * mixture.std, **look))
