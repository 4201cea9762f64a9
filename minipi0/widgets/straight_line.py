"""The straight line from noise to an action, to be pulled about (notebook 01)."""

from minipi0.widgets.base import Canvas, Point, Tau, browser_code


class StraightLine(Canvas):
    """Drag noise or action, move tau: A^tau = tau A + (1 - tau) eps moves, its velocity does not.

    `w = StraightLine(tau=0.5); w.tau`. The mouse or the arrow keys drag.

    Traits, to read and to set:
    noise, action: (x, y), within the picture
    tau: in [0, 1]

    Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "straight_line.js")
    noise = Point((-2.0, -1.0)).tag(sync=True)
    action = Point((1.5, 2.0)).tag(sync=True)
    tau = Tau(0.4).tag(sync=True)
