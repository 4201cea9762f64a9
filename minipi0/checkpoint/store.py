"""Weights in files, in minipi0's own layout and the released ones, which `layouts` describes.

Only safetensors, no pickle. Reading is strict and opens the file for one tensor at a time. Writing
is atomic: a file is complete or not there. The weights' file also holds the sizes and the
normalisation statistics, as metadata: so they cannot part from it, and weights beside another
model's config.json are noticed.
"""

import json
import re
import warnings
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm.auto import tqdm

from minipi0.checkpoint import about as about_module
from minipi0.checkpoint import lerobot, statistics
from minipi0.checkpoint.files import (
    DTYPES,
    check_bytes,
    checksums,
    incomplete,
    parsed,
    write_atomically,
    write_tensors,
)
from minipi0.checkpoint.layouts import (
    UNUSED,
    VLM_HEAD,
    canonical,
    changes_sign,
    own_name,
    released_names,
    row_counts,
    to_paligemma,
    to_released,
)
from minipi0.checkpoint.places import OTHERS, listed, refuse_other_models, weight_files
from minipi0.checkpoint.sizes import (
    believable,
    config_of,
    paligemma_of,
    paligemma_sizes,
    sizes_from_config,
    sizes_from_shapes,
)

WORTH_A_BAR = 2**28  # bytes


@dataclass
class Checkpoint:
    """An opened checkpoint: where each tensor is, its shape and dtype. Nothing is read yet."""

    where: dict[str, tuple[Path, str]]  # own or canonical name -> file, key in it
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    released: bool
    folder: Path
    written: dict  # what `save` noted in the file: "config" and perhaps "stats", "zeros", …
    buffers: dict[str, Tensor]  # statistics among the weights, as LeRobot had them before 0.4
    versions: dict[Path, tuple | None]  # of each file, when it was opened
    checksums: dict[Path, dict[str, str]]  # of each file's tensors, {} in files of others

    def read(self, name: str) -> Tensor:
        """Read one tensor. The file is mapped for it alone, so earlier ones use no memory.

        Raises ValueError where its bytes are not those that were written.
        """
        file, key = self.where[name]
        try:
            with safe_open(file, framework="pt") as tensors:
                found = tensors.get_tensor(key)
            check_bytes(file, key, found, self.checksums[file])
            return found[: self.shapes[name][0]]
        finally:  # whatever came of it: after opening, or the new file could slip in between
            if _version(file) != self.versions[file]:
                raise ValueError(
                    f"{file} was replaced while it was being read, and two models would have been "
                    "mixed: load it again"
                )

    def config(self) -> dict:
        """The model's sizes, as `Pi0Config.to_dict` gives them.

        They come from config.json, else from what `save` noted, else from released shapes. Shapes
        do not tell everything: a UserWarning says what was assumed.
        Raises ValueError when nothing gives the sizes, or two sources contradict each other.
        """
        noted = self.written.get("config")
        if (self.folder / "config.json").exists():
            sizes = self._config_json(sizes_from_config)
            if noted not in (None, sizes):
                raise ValueError(
                    f"{self.folder}: config.json belongs to other weights (half-written?), "
                    "or pass the config= you mean"
                )
            return sizes
        if noted:
            return believable(noted)
        missing = f"no config.json beside the weights in {self.folder}"
        if not self.released:
            raise ValueError(f"{missing}: pass config=Pi0Config(...)")
        try:
            sizes, assumed = sizes_from_shapes(self.shapes)
        except ValueError as error:
            raise ValueError(
                f"{missing}, and the shapes of its tensors do not tell: {error}; "
                "pass config=Pi0Config(...)"
            ) from None
        warnings.warn(f"{missing}: sizes taken from its tensors, assuming {assumed}", stacklevel=3)
        return sizes

    def paligemma(self) -> dict:
        """The sizes "vlm", "vision" and "vocab_size" of a PaliGemma.

        From now on, `read` leaves out the rows beyond that vocabulary.
        """
        sizes = self._config_json(paligemma_sizes)
        embedding = released_names("embedding.weight")[0]
        if len(shape := self.shapes.get(embedding, ())) == 2:
            self.shapes[embedding] = (min(shape[0], sizes["vocab_size"]), shape[1])
        return sizes

    def stats(self, config: dict) -> dict[str, Tensor] | None:
        """The normalisation statistics, state_mean: float[S], action_mean: float[D], …, or None.

        They are what `save` noted, else what LeRobot or openpi saved beside the weights.
        config: the model's sizes. Raises ValueError for numbers that are no statistics of it.
        """
        if "stats" in self.written:
            found = statistics.noted(self.written["stats"], next(iter(self.versions)))
        else:
            found = statistics.beside(self.folder, self.buffers)
        if found:
            statistics.check(found, config)
        return found

    def about(self) -> dict | None:
        """What the weights were trained on: cameras, names, …, as `save` or LeRobot wrote it."""
        return self.written.get("about") or lerobot.about(self.folder)

    def _config_json(self, sizes_in) -> dict:
        file = self.folder / "config.json"
        try:
            values = parsed(file.read_text())
            if not isinstance(values, dict):
                raise ValueError(f"it holds a {type(values).__name__}")
            return believable(sizes_in(values))
        except FileNotFoundError:
            raise ValueError(f"no config.json beside the weights in {self.folder}") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise incomplete(file, error) from None
        except Exception as error:  # whatever transformers' own configuration classes find wrong
            reason = error if isinstance(error, ValueError) else repr(error)
            raise ValueError(
                f"{file} does not hold a pi0's sizes: {reason}; pass config=Pi0Config(...)"
            ) from error


def open_checkpoint(path_or_repo: str | Path, revision: str | None = None) -> Checkpoint:
    """Open a checkpoint and find out what it holds, without reading a weight.

    path_or_repo: a folder with model.safetensors or its shards, a .safetensors file, or a Hugging
        Face repository. revision: a branch, tag or commit of the repository.
    Raises FileNotFoundError when there is none, ValueError for a file that is not complete or not
    what it should be, and for the revision of a folder.
    """
    path = Path(path_or_repo).expanduser()
    if not path.exists():
        path = _fetched(str(path_or_repo), revision)
    elif revision is not None:
        raise ValueError(f"{path} is here, and only a repository has a revision: {revision!r}")
    found: dict[str, tuple[Path, str, tuple[int, ...], str]] = {}
    written: dict = {}
    buffers: dict[str, Tensor] = {}
    noted: dict[Path, dict[str, str]] = {}
    versions = {file: _version(file) for file in weight_files(path)}
    for file in versions:
        try:
            with safe_open(file, framework="pt") as tensors:
                written |= _noted(file, tensors.metadata())
                keys = list(tensors.keys())
                noted[file] = checksums(file, tensors.metadata(), keys)
                own = any(key.startswith("experts.") for key in keys)
                for key in keys:
                    part = tensors.get_slice(key)
                    name = key if own else canonical(key)
                    if lerobot.is_buffer(name):
                        buffers[name] = tensors.get_tensor(key)
                        continue
                    if name in found:
                        raise ValueError(
                            f"{file}: {key} and {found[name][1]} are the same tensor by name"
                        )
                    found[name] = (file, key, tuple(part.get_shape()), part.get_dtype())
        except (SafetensorError, OSError, RuntimeError) as error:  # RuntimeError: torch maps it too
            raise incomplete(file, error) from error
    refuse_other_models(path, found)
    released = not any(name.startswith("experts.") for name in found)
    embedding = released_names("embedding.weight")[0]
    if released and embedding not in found and VLM_HEAD in found:
        found[embedding] = found[VLM_HEAD]
    return Checkpoint(
        where={name: entry[:2] for name, entry in found.items()},
        shapes={name: entry[2] for name, entry in found.items()},
        dtypes={name: entry[3] for name, entry in found.items()},
        released=released,
        folder=path if path.is_dir() else path.parent,
        written=written,
        buffers=buffers,
        versions=versions,
        checksums=noted,
    )


def _fetched(repo_id: str, revision: str | None) -> Path:
    """The folder of a Hugging Face repository, fetched."""
    if repo_id.startswith("gs://"):
        raise FileNotFoundError(f"{repo_id} is {OTHERS['params']}")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id):
        raise FileNotFoundError(
            f"no file or folder {repo_id}, and that is no Hugging Face repository id (owner/name)"
        )
    wanted, others = ["*.safetensors", "*.json"], ["*/*.safetensors"]  # of other checkpoints
    try:
        given = {} if revision is None else {"revision": revision}
        fetched = snapshot_download(repo_id, allow_patterns=wanted, ignore_patterns=others, **given)
        return Path(fetched)
    except (HfHubHTTPError, OSError) as error:
        of_it = f" revision {revision!r}" if revision else ""
        raise FileNotFoundError(
            f"no folder {repo_id} here, and{of_it} from the Hugging Face Hub it could not be had: "
            f"{error}"
        ) from error


def _version(file: Path) -> tuple | None:
    """Another one after the file was replaced or written to, None after it was removed."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _noted(file: Path, metadata: dict[str, str] | None) -> dict:
    try:
        noted = parsed((metadata or {}).get("minipi0", "{}"))
        return noted if isinstance(noted, dict) else {}
    except ValueError as error:
        raise ValueError(f"{file}: its metadata is not readable as JSON: {error}") from None


def load(
    model: nn.Module,
    source: Checkpoint,
    config: dict,
    dtype: torch.dtype | None = None,
    only: tuple[str, ...] = ("",),
) -> None:
    """Fill a model that was built on the meta device, tensor by tensor.

    config: the model's sizes.
    dtype: of the parameters; by default the file's, and where the file mixes several the widest.
    only: beginnings of the names that the file must bring; all other parameters are initialised
        afresh.

    The largest tensor comes first, so that the peak of memory stays near the model's own size.
    Raises ValueError naming missing, unexpected and mis-shaped tensors, before anything is read.
    Raises ValueError for a tensor that cannot be trained weights: one that is not finite, or a
    matrix of zeros (a file holds zeros where it has its length but not yet its bytes) unless `save`
    noted that it is one.
    """
    if dtype not in (None, *DTYPES.values()):
        raise ValueError(
            f"dtype must be a floating-point torch.dtype of 16 to 64 bits, not {dtype!r}"
        )
    named = {own_name(name): (name, parameter) for name, parameter in model.named_parameters()}
    parameters = {name: entry for name, entry in named.items() if name.startswith(only)}
    sources = {name: released_names(name) if source.released else [name] for name in parameters}
    wanted = {key for keys in sources.values() for key in keys}
    missing = sorted(wanted - source.shapes.keys())
    unexpected = sorted(source.shapes.keys() - wanted - (UNUSED if source.released else set()))
    wrong = []
    for name, keys in sources.items():
        shape = tuple(parameters[name][1].shape)
        counts = row_counts(name, shape[0], config) if source.released else shape[:1]
        for key, rows in zip(keys, counts, strict=True):
            expected, found = (rows, *shape[1:]), source.shapes.get(key)
            if found not in (expected, None):
                wrong.append(f"{key}: {found} in the file, {expected} in the model")
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": wrong}
    complaints = [listed(kind, names) for kind, names in kinds.items() if names]
    if complaints:
        problem = f"the weights in {source.folder} do not fit the configuration:"
        raise ValueError("\n".join([problem, *complaints]))
    dtype = dtype or _widest(source.dtypes[key] for key in wanted)
    zeros = source.written.get("zeros", [])
    size = sum(parameter.numel() for _, parameter in parameters.values()) * dtype.itemsize
    shown = dict(unit="B", unit_scale=True, disable=size < WORTH_A_BAR)
    with tqdm(desc="loading weights", total=size, **shown) as bar:
        for name in sorted(parameters, key=lambda name: -parameters[name][1].numel()):
            full_name, parameter = parameters[name]
            value = torch.empty(parameter.shape, dtype=dtype)
            row = 0
            for key in sources[name]:
                tensor, where = source.read(key), f"{key} in {source.where[key][0]}"
                part = value[row : row + len(tensor)]
                part.copy_(tensor)
                row += len(tensor)
                low, high = part.aminmax()  # one pass, no copy; NaN comes through
                if not (low.isfinite() and high.isfinite()):
                    raise ValueError(f"{where} holds NaN or infinite numbers, read as {dtype}")
                if part.ndim > 1 and low == high == 0 and key not in zeros:
                    raise ValueError(
                        f"{where} holds nothing but zeros: was the file only half written?"
                    )
                del tensor  # unmap it before the next one is read
            if source.released and changes_sign(name):
                value.neg_()
            owner, _, leaf = full_name.rpartition(".")
            setattr(model.get_submodule(owner), leaf, nn.Parameter(value))
            bar.update(value.nbytes)
    for module in model.modules():
        if any(parameter.is_meta for parameter in module.parameters(recurse=False)):
            module.to_empty(device="cpu", recurse=False).to(dtype).reset_parameters()
    # SigLIP's position_ids, the only buffer, is in no file
    for name, buffer in list(model.named_buffers()):
        owner, _, leaf = name.rpartition(".")
        numbers = torch.arange(buffer.numel())[None]
        model.get_submodule(owner).register_buffer(leaf, numbers, persistent=False)


def save(
    state: dict[str, Tensor],
    config: dict,
    folder: str | Path,
    layout: str = "minipi0",
    stats: dict[str, Tensor] | None = None,
    about: dict | None = None,
) -> None:
    """Write a model to folder/model.safetensors and folder/config.json.

    state: the model's state_dict. config: its sizes.
    layout: "minipi0", or "lerobot": the released names, with both lm_heads, so that LeRobot's and
        transformers' classes load it strictly; and with stats and about, the features and
        processors with which LeRobot's class runs; "paligemma": the VLM alone, as transformers'
        PaliGemma has it, for `Pi0.from_paligemma`.
    stats: normalisation statistics, state_mean: float[S], action_mean: float[D], …, which
        `Checkpoint.stats` gives back.
    about: plain values that say what the weights were trained on, given back with them.
    Raises ValueError for an unknown layout, other statistics, or an `about` that JSON cannot hold.
    """
    state = {own_name(name): tensor.detach() for name, tensor in state.items()}
    if layout == "lerobot":
        state = {f"model.{name}": tensor for name, tensor in to_released(state, config).items()}
    elif layout == "paligemma":
        state = to_paligemma(state, config)
    elif layout != "minipi0":
        raise ValueError(f'layout is "minipi0", "lerobot" or "paligemma", not {layout!r}')
    noted: dict = {"config": config}
    if stats is not None:
        statistics.check(stats, config)
        noted["stats"] = {name: values.float().tolist() for name, values in stats.items()}
    noted |= about_module.checked(about)
    zeros = [name for name, tensor in state.items() if tensor.ndim > 1 and not tensor.any()]
    noted["zeros"] = [name if layout == "minipi0" else canonical(name) for name in zeros]
    folder = Path(folder).expanduser()
    values, options = {"minipi0": config}, {}
    if layout == "lerobot":
        options = lerobot.options(config, stats, about)
        values = config_of(config) | options
    elif layout == "paligemma":
        values = paligemma_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"format": "pt", "minipi0": json.dumps(noted)}
    text = json.dumps(values, indent=1) + "\n"
    # the weights first: if one of the two fails, it is this one
    weights = folder / "model.safetensors"
    write_atomically(weights, lambda path: write_tensors(path, state, metadata))
    write_atomically(folder / "config.json", lambda path: path.write_text(text))
    if options:
        lerobot.write_processors(folder, stats, options)


def _widest(dtypes) -> torch.dtype:
    kinds = set(dtypes)
    if unknown := sorted(kinds - DTYPES.keys()):
        raise ValueError(f"weights of type {unknown} cannot be read: expected {sorted(DTYPES)}")
    return reduce(torch.promote_types, (DTYPES[kind] for kind in kinds))
