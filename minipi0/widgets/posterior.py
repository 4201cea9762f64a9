"""Who could be passing here? Demonstrations weighted by how probable each is (notebook 02)."""

import torch
import traitlets

from minipi0 import toys
from minipi0.widgets.base import Canvas, Point, Points, Tau, browser_code

STD = 0.05  # of the Gaussian around each demonstration
COUNT = 60  # demonstrations, if the reader brings none


class Posterior(Canvas):
    """Move the mouse to a point x, move tau: the demonstrations that can pass there light up.

    Thin arrows are the velocities of single demonstrations, the bold one is their mean: the
    marginal velocity. `w = Posterior(tau=0.5)`; then `w.point = (1, 0)` and `w.weights`.

    Traits, to read and to set:
    point: (x, y), where the mouse clicked last
    tau: in [0, 1]
    demonstrations: up to 100 points

    Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "posterior_field.js", "posterior.js")
    point = Point((1.0, 0.0)).tag(sync=True)
    tau = Tau(0.5).tag(sync=True)
    demonstrations = Points().tag(sync=True)
    std = traitlets.Float(STD).tag(sync=True)

    def __init__(self, demonstrations=None, tau: float = 0.5, **traits):
        """demonstrations: (x, y) each; by default 60 of toys.ring()."""
        if demonstrations is None:
            demonstrations = toys.ring().sample(COUNT, torch.Generator().manual_seed(0))
        points = [[round(float(c), 3) for c in point] for point in demonstrations]
        if not points:
            raise ValueError("there are no demonstrations: give at least one (x, y)")
        super().__init__(demonstrations=points, tau=tau, **traits)

    @property
    def mixture(self) -> toys.GaussianMixture:
        """A narrow Gaussian around each demonstration."""
        return toys.GaussianMixture(self.demonstrations, self.std)

    @property
    def weights(self) -> torch.Tensor:
        """How probable each demonstration is for a pair that is at `point` at tau, float64[K]."""
        x = torch.tensor([self.point], dtype=torch.float64)
        return self.mixture.posterior(x, self.tau)[0]
