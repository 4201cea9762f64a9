"""Training: the loop, what of a model is trained, augmentation, memory; and the command line.

    python -m minipi0.train --data cr5-banana --steps 500 --out runs/first

augment, tuning -> memory; team -> loop -> command.
"""

from minipi0.train import augment, tuning
from minipi0.train.command import evaluate, main
from minipi0.train.loop import Recipe, fit
from minipi0.train.memory import count

__all__ = ["Recipe", "augment", "count", "evaluate", "fit", "main", "tuning"]
