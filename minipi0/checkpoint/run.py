"""The state of a training run in one file: weights, their average, Adam's moments, the losses.

Keys in the file: model.NAME, average.NAME, and per moment step.NAME, exp_avg.NAME, exp_avg_sq.NAME.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from minipi0.checkpoint.files import write_atomically, write_tensors

STATE = "training.safetensors"  # in the run's folder, beside the model's own files
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps of a parameter
Tensors = dict[str, Tensor]


def save(
    out: Path, model, average, optimizer, recipe: dict, losses: list[float], sample: Tensors
) -> None:
    """Write the state of a run to out / STATE, atomically.

    average: torch's AveragedModel of `model`. optimizer: AdamW. losses: one per step so far.
    sample: the first batch; by these tensors `load` recognises the data.
    """
    for name in (STATE, "model.safetensors", "config.json"):
        for leftover in out.glob(f".{name}.*"):  # of a process that was killed while it wrote
            leftover.unlink()
    tensors = {"losses": torch.tensor(losses, dtype=torch.float64), **sample}
    averaged = dict(average.module.named_parameters())
    for name, parameter in model.named_parameters():
        tensors |= {f"model.{name}": parameter.detach(), f"average.{name}": averaged[name].detach()}
        moments = optimizer.state.get(parameter, {})  # none where there never was a gradient
        tensors |= {f"{key}.{name}": moments[key] for key in MOMENTS if key in moments}
    metadata = {"recipe": json.dumps(recipe)}
    write_atomically(out / STATE, lambda path: write_tensors(path, tensors, metadata))


def load(out: Path, model, average, optimizer, recipe: dict, sample: Tensors) -> list[float]:
    """Read the state of a run back into `model`, `average` and `optimizer`, in place.

    Returns the losses so far. Raises FileNotFoundError where there is no state, and ValueError for
    one of another recipe, model or data set.
    """
    path = out / STATE
    if not path.exists():
        raise FileNotFoundError(f"nothing to resume: {path} does not exist")
    with safe_open(path, framework="pt") as file:
        stored = json.loads(file.metadata()["recipe"])
        wanted = json.loads(json.dumps(recipe))
        if stored["steps"] < wanted["steps"]:
            stored["steps"] = wanted["steps"]  # a longer run of the same kind
        differing = [key for key in wanted if stored.get(key) != wanted[key]]
        if differing:
            changes = (f"{key}: {stored.get(key)} then, {wanted[key]} now" for key in differing)
            raise ValueError(f"{path} belongs to another recipe: {'; '.join(changes)}")
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    for key, now in sample.items():
        then = tensors.get(key)
        same = then is not None and then.shape == now.shape
        if not (same and torch.allclose(then, now, atol=1e-3)):  # decoders differ in the last bits
            raise ValueError(
                f"{path} was trained on other data: the first batch's {key.removeprefix('data.')} "
                "differ (another data set, split, horizon, instruction, camera or image size?)"
            )
    averaged = dict(average.module.named_parameters())
    average.n_averaged.fill_(len(tensors["losses"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for target, key in ((parameter, f"model.{name}"), (averaged[name], f"average.{name}")):
                if key not in tensors or tensors[key].shape != target.shape:
                    there = tuple(tensors[key].shape) if key in tensors else "nothing"
                    raise ValueError(
                        f"{path} belongs to another model: {key} is {there} there, "
                        f"{tuple(target.shape)} here"
                    )
                target.copy_(tensors[key])
            for key in MOMENTS:
                if (value := tensors.get(f"{key}.{name}")) is not None:
                    value = value if key == "step" else value.to(parameter)
                    optimizer.state[parameter][key] = value
    return tensors["losses"].tolist()
