"""Weights in files, and what travels with them: sizes, layouts, statistics, the state of a run.

files, adapters, layouts -> sizes; places -> lerobot -> statistics -> about; all of them -> store
and run. No file here knows `Pi0`.
"""

from minipi0.checkpoint.adapters import plain_parameters
from minipi0.checkpoint.files import (
    read_tensors,
    without_checksums,
    write_atomically,
    write_tensors,
)
from minipi0.checkpoint.layouts import PALIGEMMA
from minipi0.checkpoint.store import Checkpoint, load, open_checkpoint, save

__all__ = [
    "PALIGEMMA",
    "Checkpoint",
    "load",
    "open_checkpoint",
    "plain_parameters",
    "read_tensors",
    "save",
    "without_checksums",
    "write_atomically",
    "write_tensors",
]
