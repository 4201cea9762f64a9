"""The roads not taken, a file each.

They share pi0's parts, so each can be compared with `pi0.py` line by line.
"""

from minipi0.baselines.giant_decoder import GiantDecoder
from minipi0.baselines.insulated import CoTrained, Insulated
from minipi0.baselines.regression import NOISE, GaussianRegression, Regression, residuals

__all__ = [
    "NOISE",
    "CoTrained",
    "GaussianRegression",
    "GiantDecoder",
    "Insulated",
    "Regression",
    "residuals",
]
