"""LeRobot's own files beside the weights: what a policy sees, and how its numbers are normalised.

    config.json                what the model sees and does, normalisation, options
    policy_preprocessor.json   from an observation to tensors; statistics in a safetensors file
    policy_postprocessor.json  from the model's actions to the robot's units; the same

Releases before 0.4 have no processors: their statistics are tensors among the weights (BUFFERS).
Axes: S state dims, D action dims.
"""

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor

from minipi0.checkpoint.files import parsed, read_tensors, write_atomically, write_tensors
from minipi0.checkpoint.places import beside
from minipi0.normalise import STATISTICS, normalisers

MODES = {"MEAN_STD": "z-score", "QUANTILES": "quantile", "MIN_MAX": "min-max"}
KEYS = {"state": "observation.state", "action": "action"}
BUFFERS = {  # releases before 0.4, in the order in which they are looked for
    "state": ("normalize_inputs.buffer_observation_state.",),
    "action": ("unnormalize_outputs.buffer_action.", "normalize_targets.buffer_action."),
}
# of the options, those that change what an action means and that nothing here undoes
CHANGED_ACTIONS = ("adapt_to_pi_aloha", "use_delta_joint_actions_aloha")
PRE, POST = "policy_preprocessor", "policy_postprocessor"


# ---- reading -----------------------------------------------------------------------------------


def about(folder: Path) -> dict | None:
    """What config.json and the processors in `folder` say of the data; None where they say nothing.

    "relative_actions" has a flag per action dim, True where it is meant relative to the state.
    "unsupported" lists options that change what an action means, and that nothing here undoes.
    """
    values = _json(folder / "config.json")
    means: dict = {"unsupported": [name for name in CHANGED_ACTIONS if values.get(name)]}
    if (flags := _relative(folder, values)) is None:
        means["unsupported"].append("use_relative_actions (of how many actions is not said)")
    elif any(flags):
        means["relative_actions"] = flags
    try:
        seen = values["input_features"]
        cameras = [key for key, feature in seen.items() if feature["type"] == "VISUAL"]
    except (AttributeError, TypeError, KeyError):  # no LeRobot wrote it, or an unfinished one
        return means if any(means.values()) else None
    modes = [_mode(folder, what) for what in KEYS]
    renamed = _step(folder, PRE, "rename_observations_processor").get("rename_map") or {}
    robots = {theirs: own for own, theirs in renamed.items()}
    tokenizer = _step(folder, PRE, "tokenizer_processor").get("tokenizer_name") or "paligemma"
    found = {
        # empty cameras are masked: without them, nothing changes
        "cameras": [robots.get(key, key) for key in cameras if "empty_camera_" not in key],
        "tokenizer": "paligemma" if "paligemma" in tokenizer else tokenizer,
        "prompt_length": values.get("tokenizer_max_length", 48),
        "normalise": " and ".join(dict.fromkeys(MODES.get(mode, mode) for mode in modes)),
    }
    if names := values.get("action_feature_names"):
        found["action_names"] = names
    return found | means


def stats(folder: Path, buffers: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """The statistics in `folder`, by the formula that its files name, or None.

    buffers: those tensors among the weights whose names begin as in BUFFERS.
    Warns where there are some that cannot be taken. Raises ValueError for broken files and numbers.
    """
    found = {}
    for what, key in KEYS.items():
        tensors = _tensors(folder, what) or _older(buffers, what) or _tensors(folder, "")
        if not tensors:
            return None
        mode, reason = MODES.get(named := _mode(folder, what)), ""
        if mode is None:
            reason = f"normalises the {what} by {named}"
        else:
            absent = [name for name in STATISTICS[mode] if f"{key}.{name}" not in tensors]
            if absent:
                reason = f"normalises the {what} by {named}, but holds no {key}.{absent[0]} (but "
                reason += f"{', '.join(sorted(tensors)[:6])})"
            elif all(tensors[f"{key}.{name}"].isinf().all() for name in STATISTICS[mode]):
                reason = f"has infinite statistics of the {what}: they were never set"
        if reason:
            warnings.warn(f"{folder} {reason}: no statistics are taken", stacklevel=5)
            return None
        found |= {f"{what}_{name}": tensors[f"{key}.{name}"].float() for name in STATISTICS[mode]}
    return found


def is_buffer(name: str) -> bool:
    """Whether a tensor among the weights is a statistic, as releases before 0.4 have it."""
    return name.startswith(("normalize_", "unnormalize_")) and ".buffer_" in name


def _older(buffers: dict[str, Tensor], what: str) -> dict[str, Tensor]:
    """{"action.mean": …} from the statistics among the weights."""
    for start in BUFFERS[what]:
        found = {name[len(start) :]: x for name, x in buffers.items() if name.startswith(start)}
        if found:
            return {f"{KEYS[what]}.{name}": x for name, x in found.items()}
    return {}


def _tensors(folder: Path, what: str) -> dict[str, Tensor]:
    """{"action.mean": …} from the processors' files: what the robot gets is unnormalised last.

    what: "state" or "action"; "" for all that is there, whatever its names.
    """
    kinds = [(PRE, "normalizer_processor")]
    if what != "state":
        kinds.insert(0, (POST, "unnormalizer_processor"))
    for pipeline, kind in kinds:
        named = [
            beside(folder / f"{pipeline}.json", step["state_file"])
            for step in _steps(folder, pipeline)
            if step.get("registry_name") == kind and step.get("state_file")
        ]
        tensors: dict[str, Tensor] = {}
        for file in named or sorted(folder.glob(f"*_{kind}.safetensors")):
            try:
                tensors |= read_tensors(file)[0]
            except FileNotFoundError:
                raise ValueError(f"{file} is missing, which {pipeline}.json names") from None
        if any(name.startswith(f"{KEYS[what]}." if what else "") for name in tensors):
            return tensors
    return {}


def _mode(folder: Path, what: str) -> str:
    """How LeRobot normalises: the processors run, so they count before config.json."""
    for pipeline in [POST, PRE] if what == "action" else [PRE]:
        for step in _steps(folder, pipeline):
            options = step.get("config") or {}
            if mapping := options.get("norm_map") or options.get("normalization_mapping"):
                keys = options.get("normalize_observation_keys")
                if what == "state" and keys is not None and KEYS[what] not in keys:
                    return "nothing (normalize_observation_keys)"
                return str(mapping.get(what.upper(), "IDENTITY"))
    values = _json(folder / "config.json")
    mapping = values.get("normalization_mapping") or values.get("norm_map") or {}
    if not isinstance(mapping, dict):
        raise ValueError(f"{folder / 'config.json'}: normalization_mapping is {mapping!r}, no dict")
    return str(mapping.get(what.upper(), "MEAN_STD"))


def _relative(folder: Path, values: dict) -> list[bool] | None:
    """A flag per action dim: LeRobot's rule, by parts of the names that stay absolute.

    None where actions are relative, but nothing says how many there are.
    """
    step = _step(folder, PRE, "relative_actions_processor")
    enabled = step.get("enabled", values.get("use_relative_actions", False))
    names = step.get("action_names", values.get("action_feature_names"))
    excluded = step.get("exclude_joints", values.get("relative_exclude_joints", ["gripper"]))
    try:
        dims = values["output_features"]["action"]["shape"][0]
    except (KeyError, TypeError, IndexError):
        dims = len(names or [])
    if not enabled:
        return []
    return relative_flags(names, excluded, dims) if dims else None


def relative_flags(names: list[str] | None, excluded: list[str], dims: int) -> list[bool]:
    """Which of `dims` actions are relative: those whose name holds no part that is excluded."""
    parts = [part.lower() for part in excluded or [] if part]
    if not names or not parts:
        return [True] * dims
    flags = [not any(part in name.lower() for part in parts) for name in names[:dims]]
    return flags + [True] * (dims - len(flags))


def _steps(folder: Path, pipeline: str) -> list[dict]:
    """The steps of a processor, [] where there is none."""
    steps = _json(folder / f"{pipeline}.json").get("steps", [])
    return [step for step in steps if isinstance(step, dict)]


def _step(folder: Path, pipeline: str, name: str) -> dict:
    """The configuration of the step called `name`, {} where there is none."""
    named = (step for step in _steps(folder, pipeline) if step.get("registry_name") == name)
    return next(named, {}).get("config") or {}


def _json(file: Path) -> dict:
    try:
        values = parsed(file.read_text())
    except (OSError, ValueError):
        return {}  # whoever needs the file says what is wrong with it
    return values if isinstance(values, dict) else {}


# ---- writing -----------------------------------------------------------------------------------


def options(sizes: dict, stats: dict[str, Tensor] | None, about: dict | None) -> dict:
    """What config.json holds besides the sizes: features and how they are normalised.

    Raises ValueError for relative actions that LeRobot's rule cannot name.
    """
    if not stats or not about:
        return {}
    kinds = normalisers(stats)
    dims = {what: len(one.shift_and_scale()[0]) for what, one in kinds.items()}
    side = sizes["vision"]["image_size"]
    features = {
        _camera(name): {"type": "VISUAL", "shape": [3, side, side]}
        for name in about.get("cameras") or []
        if name
    }
    features[KEYS["state"]] = {"type": "STATE", "shape": [dims["state"]]}
    theirs = {mode: name for name, mode in MODES.items()}
    values = {
        "input_features": features,
        "output_features": {KEYS["action"]: {"type": "ACTION", "shape": [dims["action"]]}},
        "normalization_mapping": {"VISUAL": "IDENTITY"}
        | {what.upper(): theirs[one.mode] for what, one in kinds.items()},
        "tokenizer_max_length": about.get("prompt_length", 48),
    }
    flags = about.get("relative_actions") or []
    if any(flags):
        names = about.get("action_names")
        absolute = [name for name, flag in zip(names or [], flags, strict=False) if not flag]
        if relative_flags(names, absolute, len(flags)) != list(flags):
            raise ValueError(
                f"LeRobot names actions that are not relative, and {names} cannot name {absolute}"
            )
        values |= {
            "use_relative_actions": True,
            "relative_exclude_joints": absolute,
            "action_feature_names": names,
        }
    return values


def write_processors(folder: Path, stats: dict[str, Tensor], options: dict) -> None:
    """Write the two processors and their statistics, as LeRobot 0.6 saves them.

    options: what `options` returned.
    """
    features = options["input_features"] | options["output_features"]
    norm_map = options["normalization_mapping"]
    relative = {
        "enabled": options.get("use_relative_actions", False),
        "exclude_joints": options.get("relative_exclude_joints", []),
        "action_names": options.get("action_feature_names"),
    }
    tokens = {
        "max_length": options["tokenizer_max_length"],
        "task_key": "task",
        "padding_side": "right",
        "padding": "max_length",
        "truncation": True,
        "tokenizer_name": "google/paligemma-3b-pt-224",
    }
    device = {"device": "cpu", "float_dtype": None}  # LeRobot's own commands choose another one
    normal = {"eps": 1e-8, "norm_map": norm_map}
    pipelines = {
        PRE: [
            ("rename_observations_processor", {"rename_map": {}}),
            ("to_batch_processor", {}),
            ("pi0_new_line_processor", {}),
            ("tokenizer_processor", tokens),
            ("device_processor", device),
            ("relative_actions_processor", relative),
            ("normalizer_processor", normal | {"features": features}),
        ],
        POST: [
            ("unnormalizer_processor", normal | {"features": options["output_features"]}),
            ("absolute_actions_processor", {"enabled": relative["enabled"]}),
            ("device_processor", device),
        ],
    }
    tensors = _their_numbers(stats)
    for pipeline, steps in pipelines.items():
        written = []
        for i, (name, values) in enumerate(steps):
            step: dict = {"registry_name": name, "config": values}
            if name.endswith("normalizer_processor"):
                step["state_file"] = f"{pipeline}_step_{i}_{name}.safetensors"
                file = folder / step["state_file"]
                write_atomically(file, lambda path: write_tensors(path, tensors, {"format": "pt"}))
            written.append(step)
        text = json.dumps({"name": pipeline, "steps": written}, indent=2) + "\n"
        file = folder / f"{pipeline}.json"
        write_atomically(file, lambda path, text=text: path.write_text(text))


def _their_numbers(stats: dict[str, Tensor]) -> dict[str, Tensor]:
    """{"action.mean": …}: where a dim never changes, numbers with which LeRobot's formula is ours.

    It divides by 1e-8 there, and minipi0 by 1.
    """
    tensors = {}
    for what, one in normalisers(stats).items():
        shift, scale = one.shift_and_scale()
        same = one.statistics if one.mode == "z-score" else {}
        unscaled = {"mean": shift, "std": scale}
        unscaled |= dict.fromkeys(("q01", "min"), shift - scale)
        unscaled |= dict.fromkeys(("q99", "max"), shift + scale)
        first, second = one.statistics.values()
        constant = second == (0 if same else first)
        for name, values in one.statistics.items():
            tensors[f"{KEYS[what]}.{name}"] = torch.where(constant, unscaled[name], values)
    return tensors


def _camera(name: str) -> str:
    """A camera's name as LeRobot needs it, as a feature of the observation."""
    return name if name.startswith("observation.") else f"observation.images.{name}"
