"""Flow-matching vision-language-action models, explained by building pi0 (arXiv 2410.24164)."""

import os

# Before torch is loaded: its threads should sleep while they wait for each other. By default they spin, and where another process wants
# the same core (a browser, a second notebook) a training step on two cores was measured to take ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from minipi0 import flow, toys  # noqa: E402
from minipi0.config import ExpertConfig, Pi0Config, VisionConfig  # noqa: E402
from minipi0.pi0 import Observation, Pi0  # noqa: E402

__all__ = ["ExpertConfig", "Observation", "Pi0", "Pi0Config", "VisionConfig", "flow", "toys"]
