"""Robot data sets: where they are, their tables, frames and action chunks, and how to write one.

    from minipi0 import data
    train = data.load("cr5-banana", horizon=16)
    observation, actions, action_mask = train[0]

sources -> tables, features, places, rows -> lerobot -> pictures, decoders, frames, cameras ->
mixture, splits -> chunks; subset for some episodes of one, and writer for new data sets. problems
and report say what is wrong with a recording: `python -m minipi0.data FOLDER_OR_NAME`. No file here
knows a model.
"""

from minipi0.data.chunks import ActionChunks, load
from minipi0.data.mixture import Mixture
from minipi0.data.sources import available
from minipi0.data.subset import Subset

__all__ = ["ActionChunks", "Mixture", "Subset", "available", "load"]
