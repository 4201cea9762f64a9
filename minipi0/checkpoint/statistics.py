"""Normalisation statistics that others saved beside their weights, in minipi0's words: state_mean, state_std, action_mean, action_std."""

import json
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from minipi0.checkpoint.files import incomplete

STATS = {"state_mean", "state_std", "action_mean", "action_std"}


def beside(folder: Path) -> dict[str, Tensor] | None:
    """The statistics that LeRobot or openpi saved in `folder`, or None."""
    found = {}
    for file in sorted(folder.glob("*_normalizer_processor.safetensors")):
        try:
            tensors = load_file(file)
        except SafetensorError as error:
            raise incomplete(file, error) from error
        for name in STATS:
            what, number = name.split("_")
            key = f"{'observation.state' if what == 'state' else what}.{number}"
            found |= {name: tensors[key].float()} if key in tensors else {}
    return found if found.keys() == STATS else _openpi_stats(folder)


def _openpi_stats(folder: Path) -> dict[str, Tensor] | None:
    """From assets/<data set>/norm_stats.json. A base model comes with those of many robots: which one is yours, it cannot know."""
    files = sorted((folder / "assets").rglob("norm_stats.json"))
    if len(files) != 1:
        if files:
            robots = ", ".join(str(file.parent.relative_to(folder / "assets")) for file in files)
            warnings.warn(
                f"{folder} has normalisation statistics of several data sets ({robots}): none is taken",
                stacklevel=4,
            )
        return None
    try:
        found = json.loads(files[0].read_text())["norm_stats"]
        keys = {"state": "state", "action": "actions"}
        return {
            name: torch.tensor(found[keys[what]][number]).float()
            for name in STATS
            for what, number in [name.split("_")]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{files[0]} does not hold openpi's normalisation statistics: {error!r}"
        ) from error


def check(stats: dict[str, Tensor], config: dict) -> None:
    if stats.keys() != STATS or not all(values.isfinite().all() for values in stats.values()):
        raise ValueError(f"stats must be finite and named {sorted(STATS)}, not {stats}")
    for what in ("state", "action"):
        shapes = {tuple(stats[f"{what}_{number}"].shape) for number in ("mean", "std")}
        if len(shapes) > 1 or len(shape := shapes.pop()) != 1 or shape[0] > config[f"{what}_dim"]:
            raise ValueError(
                f"stats must be {what}_mean and {what}_std, vectors of one length up to {config[f'{what}_dim']}, not {stats}"
            )
