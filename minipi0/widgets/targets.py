"""The table of targets that the widgets offer, and a network's velocity sampled for the browser."""

from typing import NamedTuple

import numpy as np
import torch

from minipi0 import toys

DOT_STD = 0.15  # of each dot that a reader draws
DOTS = {"label": "your own dots", "std": DOT_STD}  # for the browser; its means the reader draws
# at every tau = i/10, spacing 0.2 in the plane, float16: 74 kB, since a notebook stores it. Ten
# Euler steps on a trained ring end 0.003 (median), 0.02 (95 %) from the network's own ends.
GRID = {"taus": 11, "side": 41, "extent": 4.0}


class Target(NamedTuple):
    """What the widgets know of a target: their traits, menus and pictures all read it here."""

    mixture: toys.GaussianMixture
    label: str  # in the menu


TARGETS = {
    "ring": Target(toys.ring(), "ring of Gaussians"),
    "two_moons": Target(toys.two_moons(), "two moons"),
}


def for_browser() -> dict:
    """The table as plain numbers: {name: {label, means, std, weights}}."""
    return {
        name: {
            "label": target.label,
            "means": target.mixture.means.tolist(),
            "std": target.mixture.std,
            "weights": target.mixture.weights.tolist(),
        }
        for name, target in TARGETS.items()
    }


def sample_grid(velocity) -> np.ndarray:
    """velocity(x, tau) on the grid that the browser interpolates: float16[taus, y, x, 2].

    velocity: x float32[B, 2], tau a 0-d float64 tensor in [0, 1] -> float[B, 2], as for flow.euler

    Raises ValueError where it returns another shape or numbers that are not finite.
    """
    line = torch.linspace(-GRID["extent"], GRID["extent"], GRID["side"])
    y, x = torch.meshgrid(line, line, indexing="ij")
    points, table = torch.stack([x, y], -1).reshape(-1, 2), []
    for tau in torch.linspace(0, 1, GRID["taus"], dtype=torch.float64):
        with torch.no_grad():
            v = torch.as_tensor(velocity(points, tau))
        if v.shape != points.shape:
            raise ValueError(
                f"the network's velocity has shape {tuple(v.shape)} for x of shape "
                f"{tuple(points.shape)}: make them equal"
            )
        if not torch.isfinite(v.half()).all():
            raise ValueError(f"the network's velocity is not finite everywhere at tau = {tau:g}")
        table.append(v.half().cpu().reshape(*x.shape, 2))
    return torch.stack(table).numpy()
