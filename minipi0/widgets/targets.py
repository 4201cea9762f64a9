"""The widgets' target distributions, from toys.py, and a network's velocity field as a table for
the browser.
"""

import numpy as np
import torch

from minipi0 import toys

TARGETS = {"ring": toys.ring, "two_moons": toys.two_moons, "obstacle": toys.obstacle_points}
DISCS = {
    "obstacle": toys.obstacle.radius
}  # of the targets that lie around a disc at the origin, to be drawn
DOT_STD = 0.15  # of each dot that a reader draws
GRID = {
    "taus": 41,
    "side": 41,
    "extent": 4.0,
}  # tau = i/40 has every i/10; spacing 0.2 in the plane; 551 kB


def mixtures() -> dict:
    """{name: {means, std, weights}} for the browser, as plain numbers; "dots" has no means: the
    reader draws them.
    """
    made = {name: make() for name, make in TARGETS.items()}
    plain = {
        name: {"means": m.means.tolist(), "std": m.std, "weights": m.weights.tolist()}
        for name, m in made.items()
    }
    for name, radius in DISCS.items():
        plain[name]["obstacle"] = radius
    return plain | {"dots": {"std": DOT_STD}}


def sample_grid(velocity) -> np.ndarray:
    """velocity(x, tau) on the grid that the browser interpolates: (taus, y, x, 2) float32.

    velocity: x (B, 2) float32, tau a 0-d float64 tensor in [0, 1] -> (B, 2), as for flow.euler.
    Raises ValueError where it returns another shape or numbers that are not finite.
    """
    line = torch.linspace(-GRID["extent"], GRID["extent"], GRID["side"])
    y, x = torch.meshgrid(line, line, indexing="ij")
    points, table = torch.stack([x, y], -1).reshape(-1, 2), []
    with torch.no_grad():
        for tau in torch.linspace(0, 1, GRID["taus"], dtype=torch.float64):
            v = torch.as_tensor(velocity(points, tau))
            if v.shape != points.shape:
                raise ValueError(
                    f"the network's velocity has shape {tuple(v.shape)} for x of shape "
                    f"{tuple(points.shape)}: make them equal"
                )
            if not torch.isfinite(v).all():
                raise ValueError(
                    f"the network's velocity is not finite everywhere at tau = {tau:g}"
                )
            table.append(v.float().cpu().reshape(*x.shape, 2))
    return torch.stack(table).numpy()
