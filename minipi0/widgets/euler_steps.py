"""One particle, n Euler steps, and the true curve it should follow (notebook 04)."""

import traitlets

from minipi0.widgets.base import Point, TargetCanvas, browser_code


class EulerSteps(TargetCanvas):
    """Drag the start and choose n: arrows are Euler's steps, the curve is the exact path.

    Dashed is where each step's tangent points. `w = EulerSteps(target="ring", steps=4)`;
    `w.steps = 10` makes ten steps, `w.start` tells where the particle starts.

    Traits, to read and to set:
    target: a name in targets.TARGETS ("ring", "two_moons")
    steps: 1 to 50
    start: (x, y)

    Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "mixture.js", "euler_steps.js")
    steps = traitlets.Int(4, min=1, max=50).tag(sync=True)
    start = Point((1.6, 2.4)).tag(sync=True)

    def __init__(self, target: str = "two_moons", **traits):
        super().__init__(target=target, **traits)
