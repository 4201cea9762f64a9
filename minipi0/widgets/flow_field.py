"""The flow from noise to a target: field, particles, exact and Euler paths (notebooks 02 to 04)."""

import traitlets

from minipi0 import toys
from minipi0.widgets.base import Point, Points, TargetCanvas, Tau, browser_code
from minipi0.widgets.targets import DOT_STD, DOTS, GRID, for_browser, sample_grid


class FlowField(TargetCanvas):
    """Play, or move tau: particles flow along the exact marginal field or a network's.

    Click to drop one more and see where Euler takes it. `w = FlowField(target="ring",
    network=velocity)`, velocity(x, tau) as for flow.euler; then `w.tau = 0.5; w.playing = True`.

    Traits, to read and to set:
    target: a name in targets.TARGETS ("ring", "two_moons"), or "dots"
    tau: in [0, 1]; while it plays, Python sees where it started, and the new one when it stops
    playing: bool
    euler_steps: 1 to 50
    show: "marginal" field or "conditional" straight lines
    field: "exact" or "network"
    particle: (x, y)
    dots: [(x, y), ...]
    n_particles: up to 2000
    seed: of the particles

    Raises traitlets.TraitError for other values, ValueError for a velocity of another shape.
    """

    _esm = browser_code("canvas.js", "play.js", "random.js", "mixture.js", "flow_field.js")
    tau = Tau(0.0).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    euler_steps = traitlets.Int(10, min=1, max=50).tag(sync=True)
    show = traitlets.Enum(["marginal", "conditional"], "marginal").tag(sync=True)
    field = traitlets.Enum(["exact", "network"], "exact").tag(sync=True)
    particle = Point((-1.8, 0.7)).tag(sync=True)
    dots = Points(((-1.5, -1.0), (0.0, 1.5), (1.5, -1.0))).tag(sync=True)
    n_particles = traitlets.Int(500, min=0, max=2000).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    network = traitlets.Bytes(b"").tag(sync=True)  # what `set_network` made of it
    trained_on = traitlets.Unicode().tag(sync=True)  # the network's target
    grid = traitlets.Dict(GRID).tag(sync=True)

    def __init__(self, target: str = "ring", network=None, **traits):
        table = b"" if network is None else sample_grid(network).tobytes()
        traits.setdefault("field", "exact" if network is None else "network")
        super().__init__(target=target, network=table, trained_on=target, **traits)

    def set_network(self, velocity) -> None:
        """Show this velocity(x, tau) from now on, e.g. after more training, for today's target.

        Raises ValueError as targets.sample_grid does.
        """
        self.network, self.trained_on = sample_grid(velocity).tobytes(), self.target
        self.field = "network"

    @property
    def mixture(self) -> toys.GaussianMixture:
        """The current target. Raises ValueError when it is the reader's dots and there are none."""
        if self.target != "dots":
            return super().mixture
        if not self.dots:
            raise ValueError(
                "there are no dots: click into the picture, or set them, w.dots = [(0, 1), (1, 0)]"
            )
        return toys.GaussianMixture(self.dots, DOT_STD)

    @traitlets.default("targets")
    def _table(self):
        return for_browser() | {"dots": DOTS}

    @traitlets.validate("field")
    def _has_network(self, proposal):
        if proposal["value"] == "network" and not self.network:
            raise traitlets.TraitError(
                "there is no network to show: "
                "FlowField(network=velocity) or w.set_network(velocity) first"
            )
        if proposal["value"] == "network" and self.target != self.trained_on:
            raise traitlets.TraitError(
                f"the network was trained on {self.trained_on!r}, and the target is "
                f"{self.target!r}: set w.target = {self.trained_on!r} first"
            )
        return proposal["value"]

    @traitlets.observe("target")
    def _leave_the_network(self, change):
        if self.field == "network" and change.new != self.trained_on:
            self.field = "exact"
