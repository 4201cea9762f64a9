"""Where a checkpoint's weights are in a folder, and what is there instead, by name."""

import re
from pathlib import Path

from minipi0.checkpoint.files import parsed

INDEX = "model.safetensors.index.json"
# a file or folder that gives away another kind of checkpoint -> what it is and what to do
OTHERS = {
    "adapter_config.json": "a LoRA adapter, which is no model without the one that it changes{}: "
    "merge the two where it was trained (peft: merge_and_unload, then save_pretrained), "
    "and load the result",
    "params": "weights of openpi's JAX code (orbax): convert them with openpi's "
    "examples/convert_jax_model_to_pytorch.py, which writes a model.safetensors",
    "training.safetensors": "the state of a training run that has saved no model yet: "
    "train.fit(…, resume=True) goes on with it",
    "pytorch_model.bin": "pickled weights, which are not read since they can run code: convert "
    "them with safetensors.torch.save_file(torch.load(file, weights_only=True), …)",
    "pretrained_model": "a training run of LeRobot: its model is in pretrained_model/",
    "checkpoints": "a training run of LeRobot: its last model is in "
    "checkpoints/last/pretrained_model/",
}
ORBAX = ("manifest.ocdbt", "_METADATA", "_CHECKPOINT_METADATA")  # what params/ holds
PERIODS = (4e-3, 4.0)  # of the time embedding
# tensors of pi0.5 that no pi0 has: its expert is told the time in every norm
PI05 = r"^(model\.)?time_mlp_(in|out)\.|norm\.dense\."


def weight_files(path: Path) -> list[Path]:
    """The weight files of a checkpoint: itself, the one file of a folder, or its shards.

    Raises ValueError for a file of another kind and for an index without its shards;
    FileNotFoundError for a folder without weights: it says what the folder is, where that is known.
    """
    if path.is_file() and path.suffix != ".safetensors":
        raise ValueError(
            f"{path} is no .safetensors file, and nothing else is read: "
            "a pickle (.bin, .pt, .ckpt) could run any code"
        )
    if path.is_file():
        refuse_adapter(path)
        return [path]
    if (path / "model.safetensors").exists():
        return [path / "model.safetensors"]
    index = path / INDEX
    if not index.exists():
        present = sorted(file.name for file in path.iterdir())
        known = next((_told(what, path) for what in OTHERS if what in present), None)
        if known is None and set(present) & set(ORBAX):
            known = OTHERS["params"]
        kind = f": that is {known}" if known else f": it has {present[:10]}"
        raise FileNotFoundError(f"{path} holds no model.safetensors{kind}")
    try:
        names = set(parsed(index.read_text())["weight_map"].values())
        files = [beside(index, name) for name in sorted(names)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is no index of shards: {error!r}") from error
    absent = [file.name for file in files if not file.exists()]
    if absent:
        raise ValueError(
            f"{path} lacks {listed('of its shards', absent)}\nwas its download or copy cut short?"
        )
    return files


def beside(file: Path, name: str) -> Path:
    """The file called `name` that `file` mentions, in the same folder.

    Raises ValueError for a name that leads elsewhere: a checkpoint reads its own folder only.
    """
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
        raise ValueError(f"{file} names {name!r}, which is no file beside it")
    return file.parent / name


def refuse_adapter(file: Path) -> None:
    """Raise ValueError for a LoRA adapter's own file: no tensor in it is a model's."""
    if file.name.startswith("adapter_model"):
        raise ValueError(f"{file} is {_told('adapter_config.json', file.parent)}")


def refuse_other_models(where: Path, names) -> None:
    """Raise ValueError for the tensors of another model of pi0's family, by name.

    names: of the tensors, own or canonical. Other periods of the time embedding show in no tensor:
    config.json beside them names them.
    """
    config = (where if where.is_dir() else where.parent) / "config.json"
    try:
        values = parsed(config.read_text())
        periods = values.get("min_period", 4e-3), values.get("max_period", 4.0)
    except (OSError, ValueError, AttributeError):
        periods = PERIODS  # whoever needs the file says what is wrong with it
    if periods != PERIODS:
        raise ValueError(
            f"{config}: its time embedding's periods are not pi0's 0.004 to 4, but {periods}, "
            "which is another model"
        )
    if any(re.search(PI05, name) for name in names):
        raise ValueError(
            f"{where} holds a pi0.5, not a pi0: its action expert is told the time in every norm, "
            "which is another architecture"
        )
    if any("lora_" in name for name in names):
        raise ValueError(f"{where} is {OTHERS['adapter_config.json'].format('')}")


def listed(kind: str, names: list[str]) -> str:
    """ "3 missing:" and the names, one a line, at most ten."""
    more = f"\n  … and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{len(names)} {kind}:\n  " + "\n  ".join(names[:10]) + more


def _told(what: str, folder: Path) -> str:
    """What OTHERS says of `what`; an adapter's file names its base."""
    base = None
    if what == "adapter_config.json":
        try:
            base = parsed((folder / what).read_text()).get("base_model_name_or_path")
        except (OSError, ValueError, AttributeError):
            base = None
    return OTHERS[what].format(f", {base}" if base else "")
