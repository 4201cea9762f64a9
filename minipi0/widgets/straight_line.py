"""The straight line from noise to an action, to be pulled about (notebook 01)."""

from minipi0.widgets.base import Canvas, Point, Tau, browser_code


class StraightLine(Canvas):
    """Drag the noise or the action (mouse or arrow keys) and move tau: A^tau = tau A + (1 - tau)
    eps moves, its velocity A - eps does not.

    Traits noise, action ((x, y), within the picture) and tau (in [0, 1]) can be read and set: `w =
    StraightLine(tau=0.5); w.tau`. Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "straight_line.js")
    noise = Point((-2.0, -1.0)).tag(sync=True)
    action = Point((1.5, 2.0)).tag(sync=True)
    tau = Tau(0.4).tag(sync=True)
