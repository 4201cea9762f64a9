"""The roads not taken, a file each.

They share pi0's parts, so each can be compared with `pi0.py` line by line.
"""

from minipi0.baselines.giant_decoder import GiantDecoder
from minipi0.baselines.insulated import CoTrained, Insulated
from minipi0.baselines.octo import Octo, OctoFlow
from minipi0.baselines.regression import (
    NOISE,
    GaussianRegression,
    L1Regression,
    Regression,
    residuals,
)
from minipi0.baselines.two_step import TwoStep
from minipi0.pi0 import Pi0

KINDS = (
    *(Pi0, Regression, L1Regression, GaussianRegression, TwoStep, Octo, OctoFlow),
    *(GiantDecoder, Insulated),
)
MODELS = {model.__name__: model for model in KINDS}  # what acts, by the name in its weights' file

__all__ = [
    "MODELS",
    "NOISE",
    "CoTrained",
    "GaussianRegression",
    "GiantDecoder",
    "Insulated",
    "L1Regression",
    "Octo",
    "OctoFlow",
    "Regression",
    "TwoStep",
    "residuals",
]
