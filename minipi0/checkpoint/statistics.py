"""Normalisation statistics that others saved beside their weights, in minipi0's words.

The result is always the flat dict of `normalise`: state_mean, state_std, action_mean, action_std,
or the names of another formula.
"""

import json
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from minipi0.checkpoint.files import incomplete
from minipi0.normalise import STATISTICS, normalisers

LEROBOT_MODES = {"MEAN_STD": "z-score", "QUANTILES": "quantile", "MIN_MAX": "min-max"}
LEROBOT_KEYS = {"state": "observation.state", "action": "action"}


def beside(folder: Path) -> dict[str, Tensor] | None:
    """The statistics that LeRobot or openpi saved in `folder`, or None.

    Warns where there are some that cannot be taken. Raises ValueError for broken files.
    """
    stats = _lerobot(folder)
    return _openpi(folder) if stats is None else stats


def check(stats: dict[str, Tensor], config: dict) -> None:
    """Raise ValueError unless `stats` are statistics, with no more dims than the model has."""
    for what, normaliser in normalisers(stats).items():
        length, most = len(normaliser.shift_and_scale()[0]), config[f"{what}_dim"]
        if length > most:
            raise ValueError(f"stats of the {what} have {length} dims, the model has {most}")


def _lerobot(folder: Path) -> dict[str, Tensor] | None:
    """From *_normalizer_processor.safetensors, by the formula that the configuration names."""
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*_normalizer_processor.safetensors")):
        try:
            tensors |= load_file(file)
        except SafetensorError as error:
            raise incomplete(file, error) from error
    if not tensors:
        return None
    stats = {}
    for what, key in LEROBOT_KEYS.items():
        named = _lerobot_modes(folder).get(what.upper(), "MEAN_STD")
        mode = LEROBOT_MODES.get(named)
        if mode is None:
            warnings.warn(
                f"{folder} normalises the {what} by {named}: no statistics are taken", stacklevel=5
            )
            return None
        for name in STATISTICS[mode]:
            if f"{key}.{name}" not in tensors:
                warnings.warn(
                    f"{folder} normalises the {what} by {named}, but holds no {key}.{name}: "
                    "no statistics are taken",
                    stacklevel=5,
                )
                return None
            stats[f"{what}_{name}"] = tensors[f"{key}.{name}"].float()
    return _finite(stats, folder)


def _lerobot_modes(folder: Path) -> dict[str, str]:
    """{"STATE": "MEAN_STD", "ACTION": …}, from config.json or the processor's own file."""
    files = [folder / "config.json", *sorted(folder.glob("*preprocessor.json"))]
    for file in (file for file in files if file.exists()):
        try:
            values = json.loads(file.read_text())
        except ValueError:
            continue  # whoever needs the file says what is wrong with it
        for part in [values, *(step.get("config", {}) for step in values.get("steps", []))]:
            for name in ("normalization_mapping", "norm_map"):
                if part.get(name):
                    return part[name]
    return {}


def _openpi(folder: Path) -> dict[str, Tensor] | None:
    """From assets/<data set>/norm_stats.json, the z-score of pi0.

    A base model comes with the statistics of many robots, and cannot know which one is yours.
    """
    files = sorted((folder / "assets").rglob("norm_stats.json"))
    if len(files) != 1:
        if files:
            robots = ", ".join(str(file.parent.relative_to(folder / "assets")) for file in files)
            warnings.warn(
                f"{folder} has normalisation statistics of several data sets ({robots}): "
                "none is taken",
                stacklevel=5,
            )
        return None
    try:
        found = json.loads(files[0].read_text())["norm_stats"]
        parts = {"state": found["state"], "action": found["actions"]}
        stats = {
            f"{what}_{name}": torch.tensor(part[name]).float()
            for what, part in parts.items()
            for name in STATISTICS["z-score"]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{files[0]} does not hold openpi's normalisation statistics: {error!r}"
        ) from error
    return _finite(stats, files[0])


def _finite(stats: dict[str, Tensor], where: Path) -> dict[str, Tensor]:
    try:
        normalisers(stats)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return stats
