"""Changes files byte by byte and reads them; run by test_mutations.py in a process of its own.

    python tests/mutations.py SEED KIND=COUNT …

One line of JSON for every change: what was changed, how long the reading took, how it ended.
"same": the numbers are the right ones. "refused": a ValueError or OSError that names the place.
"changed": other numbers came out. Else the exception's name and text: none was expected.
"""

import faulthandler
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import test_data
import torch
from synthetic import Chunks, as_others_write_it, tiny

from minipi0 import Pi0, Pi0Config, checkpoint, data
from minipi0.checkpoint import run
from minipi0.data import writer
from minipi0.train import Recipe, fit

HANGS = 120  # seconds after which a reading counts as hanging
MEMORY = 4 * 2**30  # bytes that a reading may take beyond what the process has
STATS = {
    f"{what}_{name}": torch.linspace(0.5, 1, dims)
    for what, dims in (("state", 2), ("action", 3))
    for name in ("mean", "std")
}


def changed(whole: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """One change: flipped bits, other bytes, bytes gone or doubled, zeros, a cut. The head, where
    structure lies, is met as often as all the rest.
    """
    size, out = len(whole), bytearray(whole)
    head = min(size, 4096) if rng.random() < 0.5 else size
    at = (
        int(rng.integers(head))
        if rng.random() < 0.8
        else size - 1 - int(rng.integers(min(size, 400)))
    )
    length = int(2 ** rng.integers(0, 8))
    kind = str(rng.choice(["flip", "digit", "random", "zeros", "gone", "twice", "cut"]))
    if kind == "flip":
        out[at] ^= 1 << int(rng.integers(8))
    elif kind == "digit":  # a number in a text becomes another one
        digits = [i for i in range(at, min(at + 2000, size)) if chr(out[i]).isdigit()]
        at = digits[0] if digits else at
        out[at] = ord("0") + (out[at] + 1 + int(rng.integers(9))) % 10
    elif kind == "random":
        out[at : at + length] = rng.bytes(len(out[at : at + length]))
    elif kind == "zeros":
        out[at : at + length] = bytes(len(out[at : at + length]))
    elif kind == "gone":
        del out[at : at + length]
    elif kind == "twice":
        out[at:at] = out[at : at + length]
    else:
        del out[at:]
    return f"{kind} at {at} of {size}", bytes(out)


# ---------------------------------------------------------------- what is read


class Model:
    """A checkpoint as `Pi0.from_pretrained` reads it, filled into one model again and again.

    checksums: False for a file as other software writes it.
    """

    def __init__(self, folder: Path, layout: str, checksums: bool = True):
        model = tiny()
        about = {"cameras": ["top"], "fps": 10.0, "action_names": ["x", "y", "z"]}
        model.save_pretrained(folder, layout, stats=STATS, about=about)
        self.folder, self.model = folder, model
        if not checksums:
            as_others_write_it(folder / "model.safetensors")

    def read(self) -> list:
        source = checkpoint.open_checkpoint(self.folder)
        sizes = source.config()
        if Pi0Config.from_dict(sizes) != self.model.config:
            self.model = Pi0.from_pretrained(self.folder)  # other sizes: the whole way
        else:
            checkpoint.load(self.model, source, sizes)
        stats = source.stats(sizes)
        return [sizes, source.about(), stats, dict(self.model.named_parameters())]


class Shards(Model):
    """The same in two files with an index."""

    def __init__(self, folder: Path):
        super().__init__(folder, "lerobot")
        file = folder / "model.safetensors"
        tensors, metadata = checkpoint.read_tensors(file)
        names, shards = sorted(tensors), ("one.safetensors", "two.safetensors")
        for i, shard in enumerate(shards):
            part = {name: tensors[name] for name in names[i::2]}
            checkpoint.write_tensors(folder / shard, part, metadata)
        index = {name: shards[i % 2] for i, name in enumerate(names)}
        text = json.dumps({"metadata": {}, "weight_map": index})
        (folder / "model.safetensors.index.json").write_text(text)
        file.unlink()


class Run:
    """The state of a training run, as `fit(…, resume=True)` reads it."""

    def __init__(self, folder: Path):
        self.folder, self.recipe = folder, Recipe(steps=2, batch_size=4, warmup=0)
        fit(tiny(), Chunks(), recipe=self.recipe, out=folder, progress=False)

    def read(self) -> list:
        model = tiny()
        training = dict(recipe=self.recipe, out=self.folder, resume=True, progress=False)
        return [fit(model, Chunks(), **training), dict(model.named_parameters())]


class Data:
    """A data set, with its camera."""

    def __init__(self, folder: Path, version: str, kind: str = "video"):
        test_data.write_set(folder, version, lengths=[7, 5, 6], cameras=[test_data.TOP], kind=kind)
        self.folder = folder

    def read(self) -> list:
        chunks = data.load(self.folder, horizon=3, image_size=16, test_every=None)
        seen, actions, mask = chunks.batch(range(len(chunks)))
        return [vars(seen), actions, mask, chunks.stats, chunks.fps]


class Written(Data):
    """A data set that minipi0's own writer wrote: its tables' pages carry checksums."""

    def __init__(self, folder: Path):
        rng, episodes = np.random.default_rng(0), []
        for length, task in ((7, "lift"), (5, "turn"), (6, "lift")):
            states, actions = rng.normal(size=(length, 3)), rng.normal(size=(length, 2))
            frames = rng.integers(0, 256, (length, 16, 16, 3), np.uint8)
            episodes.append(writer.Episode(states, actions, task, {test_data.TOP: frames}))
        writer.write(folder, episodes, 10, ["x", "y", "z"], ["arm", "hand"])
        self.folder = folder


KINDS = {  # what is changed: how it is made, the file
    "model": (lambda at: Model(at, "minipi0"), "model.safetensors"),
    "model config": (lambda at: Model(at, "minipi0"), "config.json"),
    "released": (lambda at: Model(at, "lerobot"), "model.safetensors"),
    "foreign": (lambda at: Model(at, "lerobot", checksums=False), "model.safetensors"),
    "released config": (lambda at: Model(at, "lerobot"), "config.json"),
    "processor": (lambda at: Model(at, "lerobot", checksums=False), "policy_postprocessor.json"),
    "index": (Shards, "model.safetensors.index.json"),
    "run": (Run, run.STATE),
    "info": (lambda at: Data(at, "v2.1"), "meta/info.json"),
    "info v3": (lambda at: Data(at, "v3.0"), "meta/info.json"),
    "episodes": (lambda at: Data(at, "v2.1"), "meta/episodes.jsonl"),
    "episodes v3": (Written, "meta/episodes/chunk-000/file-000.parquet"),
    "tasks v3": (Written, "meta/tasks.parquet"),
    "table": (Written, "data/chunk-000/file-000.parquet"),
    "foreign table": (lambda at: Data(at, "v3.0"), "data/chunk-000/file-000.parquet"),
    "images": (lambda at: Data(at, "v3.0", "image"), "data/chunk-000/file-000.parquet"),
    "video": (
        lambda at: Data(at, "v3.0"),
        f"videos/{test_data.TOP}/chunk-000/file-000.mp4",
    ),
}


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        keys = isinstance(other, dict) and one.keys() == other.keys()
        return keys and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def ended(thing, right: list) -> str:
    try:
        with warnings.catch_warnings(record=True):
            found = thing.read()
    except (ValueError, OSError) as error:
        named = str(thing.folder) in str(error) or thing.folder.name in str(error)
        return "refused" if named else f"names no file: {type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "same" if same(found, right) else "changed"


def main(kind: str, count: int, seed: int) -> None:
    at = Path(tempfile.mkdtemp()) / "changed"
    cache = at.parent / "cache"
    os.environ["MINIPI0_CACHE"] = str(cache)
    make, name = KINDS[kind]
    thing = make(at)
    right, whole = thing.read(), (at / name).read_bytes()
    rng = np.random.default_rng(seed)
    for i in range(count):
        what, mutated = changed(whole, rng)
        (at / name).write_bytes(mutated)
        shutil.rmtree(cache, ignore_errors=True)
        faulthandler.dump_traceback_later(HANGS, exit=True)
        begun = time.process_time()  # of this process: others may be busy
        line = {"kind": kind, "i": i, "what": what, "ended": ended(thing, right)}
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(line | {"seconds": time.process_time() - begun}), flush=True)
    shutil.rmtree(at.parent)


def limit_memory() -> None:
    """An allocation beyond MEMORY fails from now on, where the system can be told so."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    faulthandler.enable()
    limit_memory()
    for argument in sys.argv[2:]:
        kind, count = argument.split("=")
        main(kind, int(count), int(sys.argv[1]))
