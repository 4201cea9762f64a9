"""One particle, n Euler steps, and the true curve it should follow (notebook 04)."""

import traitlets

from minipi0 import toys
from minipi0.widgets import targets
from minipi0.widgets.base import Canvas, Point, browser_code


class EulerSteps(Canvas):
    """Drag the start and choose n: the arrows are Euler's steps, the curve is the exact path,
    dashed is where each step's tangent points.

    `w = EulerSteps(target="ring", steps=4)`; `w.steps = 10` makes ten steps, `w.start` tells where
    the particle starts.

    Traits, to read and to set: target ("ring", "two_moons", "obstacle"), steps (1 to 50), start (x,
    y). Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "mixture.js", "euler_steps.js")
    target = traitlets.Enum([*targets.TARGETS], "two_moons").tag(sync=True)
    steps = traitlets.Int(4, min=1, max=50).tag(sync=True)
    start = Point((1.6, 2.4)).tag(sync=True)
    mixtures = traitlets.Dict().tag(sync=True)

    def __init__(self, target: str = "two_moons", steps: int = 4, **traits):
        super().__init__(mixtures=targets.mixtures(), target=target, steps=steps, **traits)

    @property
    def mixture(self) -> toys.GaussianMixture:
        """The current target."""
        return targets.TARGETS[self.target]()
