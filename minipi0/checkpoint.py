"""Weights in files: minipi0's own layout and the released ones, both ways. Knows names and tensors, no model.

Released weights (openpi's PyTorch files, LeRobot, transformers) differ from minipi0's in three ways, all of them bridged here alone:
- names: a table below; small differences between releases are evened out first (`canonical`);
- fusion: minipi0 keeps q, k, v in one matrix and gate, up in another; they are stacked rows;
- time: released code predicts dx/dt with t = 1 - tau, the opposite of dx/dtau: action_out_proj changes its sign.

Only safetensors, no pickle. Reading is strict. Writing is atomic: a file is complete or not there.
"""

import json
import os
import re
import tempfile
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

# minipi0's prefix -> the released one (without the leading "model." that LeRobot adds)
_VLM, _ACTION = "paligemma_with_expert.paligemma.model.", "paligemma_with_expert.gemma_expert.model."
PARTS = {
    "vision.": _VLM + "vision_tower.vision_model.",
    "projector.": _VLM + "multi_modal_projector.linear.",
    "embedding.": _VLM + "language_model.embed_tokens.",
    "experts.vlm.": _VLM + "language_model.",
    "experts.action.": _ACTION,
}
# inside a Gemma layer: one matrix here, these rows there
LAYER = {
    "attention_norm": ["input_layernorm"],
    "qkv": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "attention_out": ["self_attn.o_proj"],
    "mlp_norm": ["post_attention_layernorm"],
    "gate_up": ["mlp.gate_proj", "mlp.up_proj"],
    "down": ["mlp.down_proj"],
}
VLM_HEAD = "paligemma_with_expert.paligemma.lm_head.weight"  # tied to the embedding: stands in for it where that is missing
ACTION_HEAD = "paligemma_with_expert.gemma_expert.lm_head.weight"  # never used
UNUSED = {VLM_HEAD, ACTION_HEAD, _ACTION + "embed_tokens.weight"}


def canonical(key: str) -> str:
    """A released key, whatever the release, in the spelling of the table above."""
    key = re.sub(r"^model\.vlm\.", _VLM, key)  # transformers' PI0 in memory
    key = re.sub(r"^model\.dit\.", _ACTION, key)
    key = re.sub(r"^(embed_action_time|model)\.", "", key)
    key = key.replace("paligemma.model.language_model.model.", "paligemma.model.language_model.")  # transformers' PI0 in files
    return re.sub(r"vision_tower\.(vision_model\.)?", "vision_tower.vision_model.", key)


def released_names(name: str) -> list[str]:
    """The released tensors, in canonical spelling, whose rows stacked are minipi0's parameter `name`."""
    layer = re.fullmatch(r"experts\.(vlm|action)\.layers\.(\d+)\.(\w+)\.weight", name)
    if layer:
        expert, i, part = layer.groups()
        return [f"{PARTS[f'experts.{expert}.']}layers.{i}.{other}.weight" for other in LAYER[part]]
    for ours, theirs in PARTS.items():
        if name.startswith(ours):
            return [theirs + name[len(ours) :]]
    return [name]


def row_counts(name: str, rows: int, config: dict) -> list[int]:
    """How many of the parameter's rows belong to each of its `released_names`."""
    if name.endswith(".qkv.weight"):
        sizes = config["vlm" if ".vlm." in name else "action_expert"]
        return [sizes[heads] * sizes["head_dim"] for heads in ("num_heads", "num_kv_heads", "num_kv_heads")]
    return [rows // 2] * 2 if name.endswith(".gate_up.weight") else [rows]


def own_name(name: str) -> str:
    """A model's parameter name as files spell it: transformers' versions differ in whether SigLIP has one more level."""
    return name.replace("vision.vision_model.", "vision.")


def changes_sign(name: str) -> bool:
    return name.startswith("action_out_proj.")


@dataclass
class Checkpoint:
    """An opened checkpoint: where each tensor is, its shape and dtype. Nothing is read yet."""

    where: dict[str, tuple[Path, str]]  # own or canonical name -> file, key in it
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    released: bool
    folder: Path

    def read(self, name: str) -> Tensor:
        """One tensor. The file is mapped for this tensor only: what was read before no longer counts as memory."""
        file, key = self.where[name]
        with safe_open(file, framework="pt") as tensors:
            return tensors.get_tensor(key)

    def config(self) -> dict:
        """The sizes that `save` wrote beside the weights. Raises ValueError when there are none."""
        file = self.folder / "config.json"
        try:
            values = json.loads(file.read_text())
            return values["minipi0"]
        except FileNotFoundError:
            raise ValueError(f"no config.json beside the weights in {self.folder}: pass config=Pi0Config(...)") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file} is not readable as JSON: {error}") from None
        except (KeyError, TypeError):
            raise ValueError(f"{file} does not hold minipi0's sizes: pass config=Pi0Config(...)") from None


def open_checkpoint(path_or_repo: str | Path) -> Checkpoint:
    """Look into a folder with model.safetensors (or its shards), a .safetensors file, or a Hugging Face repository.

    Raises FileNotFoundError when there is no such thing, ValueError for a file that is not complete or not what it should be.
    """
    path = Path(path_or_repo)
    if not path.exists():
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(path_or_repo)):
            raise FileNotFoundError(f"no file or folder {path_or_repo}, and that is no Hugging Face repository id (owner/name)")
        try:
            path = Path(snapshot_download(str(path_or_repo), allow_patterns=["*.safetensors", "*.json"]))
        except (HfHubHTTPError, OSError) as error:
            raise FileNotFoundError(f"no folder {path_or_repo} here, and from the Hugging Face Hub it could not be had: {error}") from error
    index = path / "model.safetensors.index.json"
    if path.is_file():
        files = [path]
    elif (path / "model.safetensors").exists():
        files = [path / "model.safetensors"]
    elif index.exists():
        try:
            files = [path / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{index} is no index of shards: {error!r}") from error
    else:
        raise FileNotFoundError(f"{path} holds no model.safetensors: it has {sorted(p.name for p in path.iterdir())[:10]}")
    found: dict[str, tuple[Path, str, tuple[int, ...], str]] = {}
    released = False
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                released = released or "minipi0" not in (tensors.metadata() or {})
                for key in tensors.keys():
                    part = tensors.get_slice(key)
                    name = canonical(key) if released else key
                    if name in found:
                        raise ValueError(f"{file}: {key} and {found[name][1]} are the same tensor by name")
                    found[name] = (file, key, tuple(part.get_shape()), part.get_dtype())
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{file} is not a complete safetensors file ({error}): was its download or copy cut short?") from error
    embedding = released_names("embedding.weight")[0]
    if released and embedding not in found and VLM_HEAD in found:
        found[embedding] = found[VLM_HEAD]
    return Checkpoint(
        where={name: entry[:2] for name, entry in found.items()},
        shapes={name: entry[2] for name, entry in found.items()},
        dtypes={name: entry[3] for name, entry in found.items()},
        released=released,
        folder=path if path.is_dir() else path.parent,
    )


def load(model: nn.Module, source: Checkpoint, config: dict, dtype: torch.dtype | None = None) -> None:
    """Fill a model built on the meta device, tensor by tensor, the largest first so that the peak stays near the model's own size.

    config: the model's sizes. dtype: of the parameters; by default the file's, and where it mixes several the widest.
    Raises ValueError naming missing, unexpected and mis-shaped tensors before anything is read.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f"dtype must be a floating-point torch.dtype, not {dtype!r}")
    parameters = {own_name(name): (name, parameter) for name, parameter in model.named_parameters()}
    sources = {name: released_names(name) if source.released else [name] for name in parameters}
    wanted = {key for keys in sources.values() for key in keys}
    missing = sorted(wanted - source.shapes.keys())
    unexpected = sorted(source.shapes.keys() - wanted - (UNUSED if source.released else set()))
    wrong = []
    for name, keys in sources.items():
        shape = tuple(parameters[name][1].shape)
        for key, rows in zip(keys, row_counts(name, shape[0], config) if source.released else shape[:1], strict=True):
            expected, found = (rows, *shape[1:]), source.shapes.get(key)
            if found not in (expected, None):
                wrong.append(f"{key}: {found} in the file, {expected} in the model")
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": wrong}
    complaints = [_listed(kind, names) for kind, names in kinds.items() if names]
    if complaints:
        raise ValueError(f"the weights in {source.folder} do not fit the configuration:\n" + "\n".join(complaints))
    dtype = dtype or _widest(source.dtypes[key] for key in wanted)
    for name in sorted(parameters, key=lambda name: -parameters[name][1].numel()):
        full_name, parameter = parameters[name]
        value = torch.empty(parameter.shape, dtype=dtype)
        row = 0
        for key in sources[name]:
            tensor = source.read(key)
            value[row : row + len(tensor)] = tensor
            row += len(tensor)
            del tensor  # unmap it before the next one is read
        if source.released and changes_sign(name):
            value.neg_()
        owner, _, leaf = full_name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, nn.Parameter(value))


def save(state: dict[str, Tensor], config: dict, folder: str | Path, layout: str = "minipi0") -> None:
    """Write `state` (a model's state_dict) and `config` (its sizes) to folder/model.safetensors and folder/config.json.

    layout: "minipi0", or "lerobot": the released names, with both lm_heads, so that LeRobot's classes load the file strictly.
    Raises ValueError for an unknown layout.
    """
    state = {own_name(name): tensor.detach().contiguous() for name, tensor in state.items()}
    if layout == "lerobot":
        state = {f"model.{name}": tensor for name, tensor in to_released(state, config).items()}
    elif layout != "minipi0":
        raise ValueError(f'layout is "minipi0" or "lerobot", not {layout!r}')
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"minipi0": config}
    if layout == "lerobot":
        renamed = {"chunk_size": "horizon", "max_action_dim": "action_dim", "max_state_dim": "state_dim"}
        described |= {"type": "pi0", **{theirs: config[ours] for theirs, ours in renamed.items()}}
    metadata = {"format": "pt", **({"minipi0": "1"} if layout == "minipi0" else {})}
    write_atomically(folder / "model.safetensors", lambda path: save_file(state, path, metadata=metadata))  # first: if any, this one fails
    write_atomically(folder / "config.json", lambda path: path.write_text(json.dumps(described, indent=1) + "\n"))


def to_released(state: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
    """minipi0's tensors under their released names: fused matrices cut into their parts, the velocity's sign turned."""
    released = {}
    for name, tensor in state.items():
        parts = (-tensor if changes_sign(name) else tensor).split(row_counts(name, len(tensor), config))
        released |= {key: part.clone() for key, part in zip(released_names(name), parts, strict=True)}
    embedding = state["embedding.weight"]
    released[VLM_HEAD] = embedding.clone()
    released[ACTION_HEAD] = embedding.new_zeros(len(embedding), config["action_expert"]["width"])
    return released


def write_atomically(path: Path, write) -> None:
    """Call write(temporary path), then put the result in place of `path` in one step. A failure leaves what was there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(temporary))
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _listed(kind: str, names: list[str]) -> str:
    more = f"\n  … and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{len(names)} {kind}:\n  " + "\n  ".join(names[:10]) + more


def _widest(dtypes) -> torch.dtype:
    known = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    kinds = set(dtypes)
    if kinds - known.keys():
        raise ValueError(f"weights of type {sorted(kinds - known.keys())} cannot be read: expected {sorted(known)}")
    return reduce(torch.promote_types, (known[kind] for kind in kinds))
