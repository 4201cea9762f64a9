"""Flow-matching vision-language-action models, explained by building pi0 (arXiv 2410.24164)."""

from minipi0 import flow, toys
from minipi0.config import ExpertConfig, Pi0Config, VisionConfig
from minipi0.observation import Observation
from minipi0.pi0 import Pi0

__all__ = ["ExpertConfig", "Observation", "Pi0", "Pi0Config", "VisionConfig", "flow", "toys"]
