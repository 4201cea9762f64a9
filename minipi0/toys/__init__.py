"""Toy problems with known answers: targets with an exact velocity, and a small network to learn it.

With them one can tell what a network got wrong (compare it with the exact field) from what a method
gets wrong (run it with the exact field).
"""

from minipi0.toys.network import VelocityMLP, optimal_pairs, train, uniform_tau
from minipi0.toys.targets import (
    GaussianMixture,
    Obstacle,
    obstacle,
    obstacle_chunks,
    obstacle_points,
    ring,
    two_moons,
)

__all__ = [
    "GaussianMixture",
    "Obstacle",
    "VelocityMLP",
    "obstacle",
    "obstacle_chunks",
    "obstacle_points",
    "optimal_pairs",
    "ring",
    "train",
    "two_moons",
    "uniform_tau",
]
