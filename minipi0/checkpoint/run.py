"""The state of a training run in one file: what is trained, its average, Adam's moments, losses.

Keys in the file: model.NAME, average.NAME, and per moment step.NAME, exp_avg.NAME, exp_avg_sq.NAME.
What is frozen is not in it: the model that a run is resumed with brings that.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from minipi0.checkpoint.about import differences
from minipi0.checkpoint.adapters import shared_like, whole
from minipi0.checkpoint.files import read_tensors, write_atomically, write_tensors

STATE = "training.safetensors"  # in the run's folder, beside the model's own files
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps of a parameter
Tensors = dict[str, Tensor]

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Have the run's folder, made where it is missing, to oneself.

    The lock is the folder's own (flock): no file is left, and it ends with the process, however
    that ends. Where the system has no such locks, nothing is locked. What a process left that was
    killed while it wrote is removed.
    Raises ValueError where another process has it.
    """
    out.mkdir(parents=True, exist_ok=True)
    folder = os.open(out, os.O_RDONLY) if fcntl else None
    try:
        if folder is not None:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"another process trains in {out} now: wait for its end, or choose another "
                    "folder"
                ) from None
            except OSError:
                pass  # a file system without locks
        _sweep(out)
        try:
            yield
        finally:
            _sweep(out)  # Ctrl-C can come just before, or in, a write's own tidying
    finally:
        if folder is not None:
            os.close(folder)


def _sweep(out: Path) -> None:
    """Remove the temporary files of writes that were cut off."""
    for name in (STATE, "model.safetensors", "config.json"):
        for leftover in out.glob(f".{name}.*"):
            leftover.unlink(missing_ok=True)


def save(
    out: Path,
    trained: Tensors,
    average: Tensors,
    optimizer,
    notes: dict,
    losses: list[float],
    sample: Tensors,
    write: bool = True,
) -> None:
    """Write the state of a run to out / STATE, atomically.

    write: False for the processes that only bring their share of it.

    trained, average: by the same names. optimizer: AdamW, of `trained`. losses: one per step.
    notes: by these `load` recognises the run: "recipe", "about" (the data), "frozen".
    sample: the first batch; by these tensors `load` recognises the data.
    """
    tensors = {"losses": torch.tensor(losses, dtype=torch.float64), **sample}
    for name, parameter in trained.items():
        kept = {f"model.{name}": parameter.detach(), f"average.{name}": average[name]}
        moments = optimizer.state.get(parameter, {})  # none where there never was a gradient
        kept |= {f"{key}.{name}": moments[key] for key in MOMENTS if key in moments}
        gathered = {key: whole(value) for key, value in kept.items()}
        tensors |= gathered if write else {}
    if not write:
        return
    metadata = {name: json.dumps(value) for name, value in notes.items()}
    write_atomically(out / STATE, lambda path: write_tensors(path, tensors, metadata))


def load(
    out: Path, trained: Tensors, average: Tensors, optimizer, notes: dict, sample: Tensors
) -> list[float]:
    """Read the state of a run back into `trained`, `average` and `optimizer`, in place.

    Returns the losses so far. Raises ValueError for a state that was damaged, or is of another
    recipe, model or data set.
    """
    path = out / STATE
    tensors, metadata = read_tensors(path)
    if "losses" not in tensors or "recipe" not in metadata:
        raise ValueError(f"{path} is no state of a training run: it holds no recipe or no losses")
    there = {name: json.loads(metadata[name]) for name in notes if name in metadata}
    here = json.loads(json.dumps(notes))
    _compare(path, there, here, len(tensors["losses"]))
    changes = differences(there.get("about"), here.get("about"))
    told = "; ".join(f"{name}: {change}" for name, change in changes.items())
    for key, now in sample.items():
        then = tensors.get(key)
        same = then is not None and then.shape == now.shape
        if not (same and torch.allclose(then, now, atol=1e-3)):  # decoders differ in the last bits
            raise ValueError(
                f"{path} was trained on other data: the first batch's {key.removeprefix('data.')} "
                f"differ ({told or 'another data set, split, instruction or image size?'})"
            )
    if told:
        raise ValueError(f"{path} was trained on other data: {told}")
    also = sorted(key for key in tensors if key.startswith("model.") and key[6:] not in trained)
    if also:
        raise ValueError(f"{path} belongs to another model: {also[0]} is trained there, not here")
    with torch.no_grad():
        for name, parameter in trained.items():
            for target, key in ((parameter, f"model.{name}"), (average[name], f"average.{name}")):
                if key not in tensors or tensors[key].shape != target.shape:
                    found = tuple(tensors[key].shape) if key in tensors else "nothing"
                    raise ValueError(
                        f"{path} belongs to another model: {key} is {found} there, "
                        f"{tuple(target.shape)} here"
                    )
                target.copy_(shared_like(tensors[key], target))
            for key in MOMENTS:
                if (value := tensors.get(f"{key}.{name}")) is not None:
                    value = value if key == "step" else shared_like(value, parameter)
                    optimizer.state[parameter][key] = value
    return tensors["losses"].tolist()


def _compare(path: Path, there: dict, here: dict, done: int) -> None:
    """Raise ValueError, naming what differs, unless a state (after `done` steps) is of this run."""
    then, now = there["recipe"], here["recipe"]
    if then["steps"] < now["steps"]:
        then["steps"] = now["steps"]  # a longer run of the same kind
        if done >= max(then["warmup"], now["warmup"]):  # a tenth of the steps, unless given
            then["warmup"] = now["warmup"]
    differing = [key for key in now if then.get(key) != now[key]]
    if differing:
        changes = (f"{key}: {then.get(key)} then, {now[key]} now" for key in differing)
        raise ValueError(f"{path} belongs to another recipe: {'; '.join(changes)}")
    if there.get("frozen", "") != here.get("frozen", ""):
        raise ValueError(
            f"{path} was trained beside other frozen weights: start from the same model, and "
            "freeze the same parts"
        )
