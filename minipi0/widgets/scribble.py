"""Thirty chunks of actions on their path from scribbles of noise to arcs around a disc."""

import math

import torch
import traitlets

from minipi0 import toys
from minipi0.widgets.base import Canvas, Point, Tau, browser_code

DEMOS = 64  # demonstrated chunks; the velocity field is that of these, exactly
STD = 0.02  # of the Gaussian around each
REACH = 0.8  # how far from the origin the disc may be dragged, along each axis


class Scribble(Canvas):
    """Play, or move tau: 30 chunks of 16 way-points turn from noise into paths around a disc.

    The field is the exact marginal velocity of 64 demonstrated chunks, 32 numbers each. Drag the
    disc, and the demonstrations go around it. `w = Scribble()`; then `w.tau = 1;
    w.euler_steps = 1` sends all chunks into the disc, and so does `w.policy = "regression"`.

    Traits, to read and to set:
    tau: in [0, 1]
    playing: bool
    euler_steps: 1 to 50
    policy: "flow", or "regression", which answers every noise with the mean demonstration
    obstacle: (x, y) of the disc's centre, each in [-0.8, 0.8]
    seed: of the noise

    Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "play.js", "random.js", "posterior_field.js", "scribble.js")
    tau = Tau(0.5).tag(sync=True)  # at 0 the steps change nothing yet
    playing = traitlets.Bool(False).tag(sync=True)
    euler_steps = traitlets.Int(10, min=1, max=50).tag(sync=True)
    policy = traitlets.Enum(["flow", "regression"], "flow").tag(sync=True)
    obstacle = Point((0.0, 0.0)).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    chunks = traitlets.List().tag(sync=True)  # the demonstrations around a disc at the origin
    task = traitlets.Dict().tag(sync=True)

    def __init__(self, tau: float = 0.5, euler_steps: int = 10, **traits):
        super().__init__(tau=tau, euler_steps=euler_steps, **traits)

    @property
    def demonstrations(self) -> torch.Tensor:
        """The demonstrated chunks around the disc where it is now, float64[64, 16, 2]."""
        chunks = torch.tensor(self.chunks, dtype=torch.float64)
        return around(chunks, *self.obstacle)

    @property
    def mixture(self) -> toys.GaussianMixture:
        """The target: a narrow Gaussian around each demonstration, in 32 dimensions."""
        return toys.GaussianMixture(self.demonstrations.flatten(1), STD)

    @traitlets.default("chunks")
    def _demonstrated(self):
        # as many on either side
        many = toys.obstacle.demonstrations(4 * DEMOS, torch.Generator().manual_seed(0))
        side = toys.obstacle.side(many)
        chosen = torch.cat([many[side == s][: DEMOS // 2] for s in (1, -1)])
        return [[[round(c, 3) for c in point] for point in path] for path in chosen.tolist()]

    @traitlets.default("task")
    def _task(self):
        return {"radius": toys.obstacle.radius, "std": STD, "reach": REACH}

    @traitlets.validate("obstacle")
    def _within_reach(self, proposal):
        x, y = proposal["value"]
        if max(abs(x), abs(y)) > REACH:
            raise traitlets.TraitError(
                f"obstacle is ({x:g}, {y:g}): both numbers must lie in [-{REACH}, {REACH}], "
                "or no path from start to goal gets around it"
            )
        return x, y


def around(chunks: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """Chunks around a disc at the origin, bent to go around one at (x, y).

    An arc is lifted by y where it passes the disc, and made higher where the disc is nearer to an
    end of the arc. chunks: float[K, 16, 2]. Returns the same shape.
    """
    arch = torch.linspace(0, math.pi, chunks.shape[1], dtype=chunks.dtype).sin()
    (left, _), (right, _) = toys.obstacle.start, toys.obstacle.goal
    height = (chunks[..., 1] + y * arch) / math.sin(math.pi * (x - left) / (right - left))
    return torch.stack([chunks[..., 0], height], -1)
