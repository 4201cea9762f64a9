"""The state of a training run in one file: weights, their average, Adam's moments, the losses so far."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from minipi0.checkpoint.files import write_atomically, write_tensors

STATE = "training.safetensors"  # in the run's folder, beside the model's own files


def save(
    out: Path,
    model,
    average,
    optimizer,
    recipe: dict,
    losses: list[float],
    sample: dict[str, Tensor],
) -> None:
    for leftover in out.glob(f".{STATE}.*"):  # of a process that was killed while it wrote
        leftover.unlink()
    tensors = {"losses": torch.tensor(losses, dtype=torch.float64), **sample}
    averaged = dict(average.module.named_parameters())
    for name, parameter in model.named_parameters():
        tensors |= {f"model.{name}": parameter.detach(), f"average.{name}": averaged[name].detach()}
        moments = optimizer.state.get(
            parameter, {}
        )  # a parameter that never had a gradient has none
        tensors |= {
            f"{key}.{name}": moments[key]
            for key in ("step", "exp_avg", "exp_avg_sq")
            if key in moments
        }
    metadata = {"recipe": json.dumps(recipe)}
    write_atomically(out / STATE, lambda path: write_tensors(path, tensors, metadata))


def load(
    out: Path, model, average, optimizer, recipe: dict, sample: dict[str, Tensor]
) -> list[float]:
    path = out / STATE
    if not path.exists():
        raise FileNotFoundError(f"nothing to resume: {path} does not exist")
    with safe_open(path, framework="pt") as file:
        stored = json.loads(file.metadata()["recipe"])
        wanted = json.loads(json.dumps(recipe))
        differing = [
            f"{key}: {stored.get(key)} then, {wanted[key]} now"
            for key in wanted
            if stored.get(key) != wanted[key]
        ]
        if differing:
            raise ValueError(f"{path} belongs to another recipe: " + "; ".join(differing))
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    for key, now in sample.items():
        then = tensors.get(key)
        if (
            then is None or then.shape != now.shape or not torch.allclose(then, now, atol=1e-3)
        ):  # decoders differ in the last bits
            what = "another data set, split, horizon, instruction, camera or image size"
            raise ValueError(
                f"{path} was trained on other data: the first batch's {key.removeprefix('data.')} differ ({what}?)"
            )
    averaged = dict(average.module.named_parameters())
    average.n_averaged.fill_(len(tensors["losses"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for target, key in ((parameter, f"model.{name}"), (averaged[name], f"average.{name}")):
                if key not in tensors or tensors[key].shape != target.shape:
                    shape = tuple(tensors[key].shape) if key in tensors else "nothing"
                    raise ValueError(
                        f"{path} belongs to another model: {key} is {shape} there, {tuple(target.shape)} here"
                    )
                target.copy_(tensors[key])
            moments = {
                key: tensors[f"{key}.{name}"]
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{key}.{name}" in tensors
            }
            if moments:
                optimizer.state[parameter] = {
                    key: value if key == "step" else value.to(parameter)
                    for key, value in moments.items()
                }
    return tensors["losses"].tolist()
