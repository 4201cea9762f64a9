"""Normalisation statistics that others saved beside their weights, in minipi0's words.

The result is always the flat dict of `normalise`: state_mean, state_std, action_mean, action_std,
or the names of another formula.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from minipi0.checkpoint import lerobot
from minipi0.checkpoint.files import parsed
from minipi0.normalise import STATISTICS, normalisers


def beside(folder: Path, buffers: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """The statistics that LeRobot or openpi saved in `folder`, or None.

    buffers: statistics among the weights, see `lerobot.BUFFERS`.
    Warns where there are some that cannot be taken. Raises ValueError for broken files.
    """
    stats = lerobot.stats(folder, buffers)
    return _openpi(folder) if stats is None else _finite(stats, folder)


def noted(values: dict, file: Path | str) -> dict[str, Tensor]:
    """The statistics that `save` wrote into the weights' file, as vectors.

    Raises ValueError for what is not finite (null, NaN) or no statistics.
    """
    try:
        stats = {name: torch.tensor(numbers).float() for name, numbers in values.items()}
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:  # of torch: null
        raise ValueError(f"{file}: the statistics in it are not numbers: {error}") from None
    return _finite(stats, file)


def check(stats: dict[str, Tensor], config: dict) -> None:
    """Raise ValueError unless `stats` are statistics, with no more dims than the model has."""
    for what, normaliser in normalisers(stats).items():
        length, most = len(normaliser.shift_and_scale()[0]), config[f"{what}_dim"]
        if length > most:
            raise ValueError(f"stats of the {what} have {length} dims, the model has {most}")


def _openpi(folder: Path) -> dict[str, Tensor] | None:
    """From assets/<data set>/norm_stats.json, or where others put that file, the z-score of pi0.

    A base model comes with the statistics of many robots, and cannot know which one is yours.
    """
    root, name = folder / "assets", "norm_stats.json"
    files = sorted(root.rglob(name))
    if not files:
        root = folder
        files = [f for depth in ("", "*/", "*/*/") for f in sorted(folder.glob(depth + name))]
    if len(files) != 1:
        if files:
            robots = ", ".join(str(file.parent.relative_to(root)) for file in files)
            warnings.warn(
                f"{folder} has normalisation statistics of several data sets ({robots}): "
                "none is taken",
                stacklevel=5,
            )
        return None
    try:
        found = parsed(files[0].read_text())
        found = found.get("norm_stats", found)
        parts = {"state": found["state"], "action": found["actions"]}
        stats = {
            f"{what}_{name}": torch.tensor(part[name]).float()
            for what, part in parts.items()
            for name in STATISTICS["z-score"]
        }
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        told = f"{files[0]} does not hold openpi's normalisation statistics: {error!r}"
        if root == folder:  # others call their own statistics so
            warnings.warn(f"{told}: none is taken", stacklevel=5)
            return None
        raise ValueError(
            f"{told}: correct the file, or remove it to give stats= yourself"
        ) from error
    return _finite(stats, files[0])


def _finite(stats: dict[str, Tensor], where: Path) -> dict[str, Tensor]:
    try:
        normalisers(stats)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return stats
