"""One look for every picture: colours by meaning, and how a figure is opened."""

import matplotlib.pyplot as plt

# What a colour means, in every figure and widget. Okabe-Ito: told apart by colour-blind readers and
# in print.
NOISE = "#999999"
DATA = "#0072B2"
FLOW = "#009E73"
ONE_STEP = "#E69F00"
REGRESSION = "#D55E00"
GAUSSIAN = "#CC79A7"
PATH = "#56B4E9"
OBSTACLE = dict(facecolor="#dddddd", edgecolor="#777777", zorder=0)

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
    """plt.subplots in the house style; size is that of one panel, in inches.

    Returns (figure, axes).
    """
    with plt.rc_context(RC):
        return plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), **kwargs)
