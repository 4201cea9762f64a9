"""Checkpoints of others, and what they are when they are no pi0: recognised, read right or refused
by name.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from synthetic import TINY, tiny

from minipi0 import Pi0, Pi0Config
from minipi0.checkpoint import open_checkpoint, store
from minipi0.checkpoint.about import differences
from minipi0.checkpoint.lerobot import options, relative_flags
from minipi0.checkpoint.sizes import config_of
from minipi0.normalise import normalisers
from minipi0.robot.policy import Policy

NUMBERS = dict(mean=0.5, std=2.0, q01=-2.0, q99=3.0, min=-5.0, max=6.0)
STATS = {
    "state_mean": torch.tensor([0.5, -1.0]),
    "state_std": torch.tensor([2.0, 0.25]),
    "action_mean": torch.tensor([1.0, 0.0, -3.0]),
    "action_std": torch.tensor([0.5, 1.0, 4.0]),
}
ABOUT = {
    "cameras": ["observation.images.front", "observation.images.wrist"],
    "state_names": ["shoulder", "gripper"],
    "action_names": ["shoulder", "elbow", "gripper"],
    "fps": 30.0,
    "horizon": 4,
    "tokenizer": "bytes",
    "prompt_length": 20,
    "normalise": "z-score",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A checkpoint with LeRobot's names, and nothing in its file that minipi0 noted."""
    tiny().save_pretrained(tmp_path, layout="lerobot")
    file = tmp_path / "model.safetensors"
    save_file(load_file(file), file, {"format": "pt"})
    return tmp_path


def change(file: Path, **values) -> None:
    """Change entries of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def features(*cameras: str, state: int = 2, action: int = 3) -> dict:
    seen = {camera: {"type": "VISUAL", "shape": [3, 8, 8]} for camera in cameras}
    return {
        "input_features": seen | {"observation.state": {"type": "STATE", "shape": [state]}},
        "output_features": {"action": {"type": "ACTION", "shape": [action]}},
    }


def lerobots_numbers(**changes) -> dict[str, torch.Tensor]:
    """Statistics as LeRobot's processors keep them, every kind of them."""
    dims = {"observation.state": 2, "action": 3}
    numbers = NUMBERS | changes
    return {
        f"{key}.{name}": torch.full((d,), float(value))
        for key, d in dims.items()
        for name, value in numbers.items()
    }


# ---------------------------------------------------------------- what is no pi0


def test_a_lora_adapter_is_named_with_its_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "lerobot/pi0_base"}')
    save_file({"base_model.model.x.lora_A.weight": torch.ones(2, 2)}, tmp_path / "adapter.tmp")
    (tmp_path / "adapter.tmp").rename(tmp_path / "adapter_model.safetensors")
    for place, error in ((tmp_path, FileNotFoundError), ("adapter_model.safetensors", ValueError)):
        with pytest.raises(error, match="a LoRA adapter.*lerobot/pi0_base.*merge_and_unload"):
            Pi0.from_pretrained(tmp_path / place)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="is a LoRA adapter.*merge the two"):
        Pi0.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "adapter_config.json").write_text("broken")
    with pytest.raises(FileNotFoundError, match="a LoRA adapter"):
        Pi0.from_pretrained(tmp_path)


@pytest.mark.parametrize("inside", [False, True])
def test_jax_weights_are_named(tmp_path, inside):
    (tmp_path / "assets").mkdir()
    (tmp_path / "params").mkdir()
    for name in ("_METADATA", "manifest.ocdbt"):
        (tmp_path / "params" / name).touch()
    with pytest.raises(FileNotFoundError, match="openpi's JAX code .*convert_jax_model_to_pytorch"):
        Pi0.from_pretrained(tmp_path / "params" if inside else tmp_path)


def test_a_bucket_is_named():
    with pytest.raises(FileNotFoundError, match="gs://openpi.* is weights of openpi's JAX code"):
        Pi0.from_pretrained("gs://openpi-assets/checkpoints/pi0_base")


@pytest.mark.parametrize("what", ["pretrained_model", "checkpoints", "training.safetensors"])
def test_the_folder_of_a_run_says_where_its_model_is(tmp_path, what):
    (tmp_path / what).mkdir()
    with pytest.raises(FileNotFoundError, match="that is .*(LeRobot|resume=True)"):
        Pi0.from_pretrained(tmp_path)


@pytest.mark.parametrize("config", [None, TINY])
@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize(
    "name",
    [
        "time_mlp_in.weight",
        "paligemma_with_expert.gemma_expert.model.layers.0.input_layernorm.dense.weight",
        "paligemma_with_expert.gemma_expert.model.norm.dense.bias",
    ],
)
def test_pi05_is_recognised_by_its_tensors(folder, name, prefix, config):
    tensors = load_file(folder / "model.safetensors")
    tensors = {k.removeprefix("model."): v for k, v in tensors.items() if "time_mlp" not in k}
    tensors[name] = torch.ones(3)
    save_file({prefix + k: v.clone() for k, v in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="holds a pi0.5, not a pi0"):
        Pi0.from_pretrained(folder, config=config)


@pytest.mark.parametrize("kind", ["LeRobot's", "transformers'"])
@pytest.mark.parametrize("period", [{"min_period": 1e-3}, {"max_period": 40.0}])
def test_other_periods_of_the_time_embedding_are_refused(folder, kind, period):
    if kind == "LeRobot's":
        (folder / "config.json").write_text(json.dumps({"type": "pi0"}))
    change(folder / "config.json", **period)
    for config in (None, TINY):  # sizes that are given do not hide it
        with pytest.raises(ValueError, match="periods are not pi0's 0.004 to 4, but"):
            Pi0.from_pretrained(folder, config=config)


# ---------------------------------------------------------------- zeros


@pytest.mark.parametrize("layout", ["minipi0", "lerobot"])
@pytest.mark.parametrize("name", ["action_out_proj", "state_proj", "experts.vlm.layers.0.down"])
def test_a_matrix_that_was_initialised_with_zeros_loads(layout, name, tmp_path):
    """A zero output layer is a usual start. A file whose bytes never came is still refused."""
    model = tiny()
    torch.nn.init.zeros_(model.get_submodule(name).weight)
    model.save_pretrained(tmp_path, layout=layout)
    loaded = Pi0.from_pretrained(tmp_path)
    assert not loaded.get_submodule(name).weight.any()
    file = tmp_path / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-3000] + bytes(3000))
    with pytest.raises(ValueError, match="only half written"):
        Pi0.from_pretrained(tmp_path)


# ---------------------------------------------------------------- places


def test_a_tilde_is_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny().save_pretrained("~/models/one", stats=STATS, about=ABOUT)
    assert (tmp_path / "models" / "one" / "model.safetensors").exists()
    assert Pi0.from_pretrained("~/models/one").config == TINY
    assert Pi0.from_pretrained("~/models/one/model.safetensors").config == TINY
    assert Policy.from_pretrained("~/models/one").action_dim == 3


def test_a_revision_reaches_the_hub_and_a_folder_has_none(folder, monkeypatch):
    asked = []

    def found(repo, allow_patterns, ignore_patterns, revision=None):
        asked.append((repo, revision))
        return str(folder)

    monkeypatch.setattr(store, "snapshot_download", found)
    Pi0.from_pretrained("someone/pi0", revision="v2")
    Pi0.from_pretrained("someone/pi0")
    options = dict(stats=STATS, cameras=["front"], about={"tokenizer": "bytes"})
    Policy.from_pretrained("someone/pi0", revision="abc", **options)
    assert asked == [("someone/pi0", "v2"), ("someone/pi0", None), *[("someone/pi0", "abc")] * 2]
    with pytest.raises(ValueError, match="only a repository has a revision: 'v2'"):
        Pi0.from_pretrained(folder, revision="v2")
    with pytest.raises(ValueError, match="only a repository has a revision: 'v3'"):
        Pi0.from_paligemma(folder, revision="v3")


# ---------------------------------------------------------------- statistics


def processor(folder: Path, pipeline: str, kind: str, norm_map: dict, tensors=None) -> None:
    """A processor's file as LeRobot writes it, and its statistics."""
    step = {"registry_name": f"{kind}_processor", "config": {"norm_map": norm_map}}
    if tensors:
        step["state_file"] = f"policy_{pipeline}_step_1_{kind}_processor.safetensors"
        save_file(tensors, folder / step["state_file"])
    steps = [{"registry_name": "to_batch_processor", "config": {}}, step]
    (folder / f"policy_{pipeline}.json").write_text(json.dumps({"name": "x", "steps": steps}))


def test_the_processor_counts_before_config_json(folder):
    """LeRobot runs the processors; config.json only says how they were made."""
    change(folder / "config.json", normalization_mapping={"STATE": "MEAN_STD", "ACTION": "MIN_MAX"})
    modes = {"STATE": "QUANTILES", "ACTION": "QUANTILES"}
    processor(folder, "preprocessor", "normalizer", modes, lerobots_numbers())
    assert set(Pi0.from_pretrained(folder).stats) == {
        *("state_q01", "state_q99", "action_q01", "action_q99")
    }
    # what the robot gets was unnormalised by the postprocessor
    post = lerobots_numbers(min=-7.0)
    processor(folder, "postprocessor", "unnormalizer", {"ACTION": "MIN_MAX"}, post)
    stats = Pi0.from_pretrained(folder).stats
    assert stats["action_min"].tolist() == [-7.0] * 3 and "state_q01" in stats


def test_a_file_left_over_from_another_processor_is_not_read(folder):
    modes = {"STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
    save_file(lerobots_numbers(mean=9.0), folder / "old_step_7_normalizer_processor.safetensors")
    processor(folder, "preprocessor", "normalizer", modes, lerobots_numbers())
    assert Pi0.from_pretrained(folder).stats["state_mean"].tolist() == [0.5, 0.5]
    (folder / "policy_preprocessor_step_1_normalizer_processor.safetensors").unlink()
    with pytest.raises(ValueError, match="is missing, which policy_preprocessor.json names"):
        Pi0.from_pretrained(folder)


@pytest.mark.parametrize("mode", ["IDENTITY", "QUANTILE10", "SOMETHING"])
def test_a_formula_that_is_not_known_is_named(folder, mode):
    modes = {"STATE": "MEAN_STD", "ACTION": mode}
    processor(folder, "preprocessor", "normalizer", modes, lerobots_numbers())
    with pytest.warns(UserWarning, match=f"normalises the action by {mode}: no statistics"):
        assert Pi0.from_pretrained(folder).stats is None


def older(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Statistics among the weights, as in LeRobot before 0.4."""
    weights = load_file(folder / "model.safetensors")
    tensors = weights | {name: tensor.clone() for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors")


BUFFERS = {
    "normalize_inputs.buffer_observation_state.mean": STATS["state_mean"],
    "normalize_inputs.buffer_observation_state.std": STATS["state_std"],
    "normalize_targets.buffer_action.mean": STATS["action_mean"] + 1,
    "normalize_targets.buffer_action.std": STATS["action_std"],
    "unnormalize_outputs.buffer_action.mean": STATS["action_mean"],
    "unnormalize_outputs.buffer_action.std": STATS["action_std"],
}


def test_statistics_among_the_weights_are_read(folder):
    older(folder, BUFFERS)
    stats = Pi0.from_pretrained(folder).stats
    assert {name: values.tolist() for name, values in stats.items()} == {
        name: values.tolist() for name, values in STATS.items()
    }


def test_statistics_among_the_weights_go_by_the_mapping_too(folder):
    change(folder / "config.json", normalization_mapping={"STATE": "MIN_MAX", "ACTION": "MEAN_STD"})
    low_high = {
        f"normalize_inputs.buffer_observation_state.{name}": torch.full((2,), value)
        for name, value in (("min", -1.0), ("max", 3.0))
    }
    older(folder, {k: v for k, v in BUFFERS.items() if "inputs" not in k} | low_high)
    stats = Pi0.from_pretrained(folder).stats
    assert set(stats) == {"state_min", "state_max", "action_mean", "action_std"}


def test_statistics_that_were_never_set_are_none(folder):
    older(folder, {name: torch.full_like(x, torch.inf) for name, x in BUFFERS.items()})
    with pytest.warns(UserWarning, match="infinite statistics of the state: they were never set"):
        assert Pi0.from_pretrained(folder).stats is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["processor", "weights", "openpi", "own"])
def test_statistics_that_are_no_numbers_are_refused_at_loading(folder, where, bad):
    numbers = lerobots_numbers()
    numbers["action.mean"][1] = bad
    if where == "processor":
        modes = {"STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
        processor(folder, "preprocessor", "normalizer", modes, numbers)
    elif where == "weights":
        mean = numbers["action.mean"]
        older(folder, BUFFERS | {"unnormalize_outputs.buffer_action.mean": mean})
    elif where == "openpi":
        openpis(folder, mean=numbers["action.mean"].tolist())
    else:
        tiny().save_pretrained(folder, stats=STATS)
        note(folder, action_mean=numbers["action.mean"].tolist())
    with pytest.raises(ValueError, match="action.*mean is .* in dimension 1: it must be finite"):
        Pi0.from_pretrained(folder)


def openpis(folder: Path, **actions) -> None:
    asset = folder / "assets" / "robot"
    asset.mkdir(parents=True)
    values = {"state": {"mean": [0.0, 1.0], "std": [1.0, 1.0]}}
    values["actions"] = {"mean": [0.0] * 3, "std": [1.0] * 3} | actions
    (asset / "norm_stats.json").write_text(json.dumps({"norm_stats": values}))


def note(folder: Path, **stats) -> None:
    """Change the statistics that `save` wrote into the weights' file."""
    file = folder / "model.safetensors"
    with store.safe_open(file, framework="pt") as opened:
        noted = json.loads(opened.metadata()["minipi0"])
    noted["stats"] |= stats
    save_file(load_file(file), file, {"format": "pt", "minipi0": json.dumps(noted)})


@pytest.mark.parametrize("where", ["openpi", "own"])
def test_null_among_statistics_is_refused(folder, where):
    if where == "openpi":
        openpis(folder, mean=[0.0, None, 0.0])
    else:
        tiny().save_pretrained(folder, stats=STATS)
        note(folder, action_mean=[0.0, None, 0.0])
    with pytest.raises(ValueError, match="(norm_stats.json|model.safetensors)"):
        Pi0.from_pretrained(folder)


def test_a_deviation_of_zero_becomes_one(folder):
    modes = {"STATE": "MEAN_STD", "ACTION": "MIN_MAX"}
    numbers = lerobots_numbers(std=0.0, min=4.0, max=4.0)
    processor(folder, "preprocessor", "normalizer", modes, numbers)
    kinds = normalisers(Pi0.from_pretrained(folder).stats)
    assert kinds["state"].to_model(torch.tensor([0.5, 1.5])).tolist() == [0.0, 1.0]
    assert kinds["action"].to_robot(torch.zeros(3)).tolist() == [4.0] * 3


def test_more_statistics_than_the_model_has_dims(folder):
    numbers = {name: x.repeat(3) for name, x in lerobots_numbers().items()}
    modes = {"STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
    processor(folder, "preprocessor", "normalizer", modes, numbers)
    with pytest.raises(ValueError, match="stats of the state have 6 dims, the model has 2"):
        Pi0.from_pretrained(folder)


# ---------------------------------------------------------------- what LeRobot says of the data


def test_cameras_without_the_empty_ones_and_as_the_robot_calls_them(folder):
    names = ["observation.images." + name for name in ("base", "wrist", "empty_camera_0")]
    change(folder / "config.json", **features(*names))
    about = Pi0.from_pretrained(folder).about
    assert about["cameras"] == names[:2] and not about["unsupported"]
    renaming = {"rename_map": {"observation.images.top": "observation.images.base"}}
    steps = [{"registry_name": "rename_observations_processor", "config": renaming}]
    (folder / "policy_preprocessor.json").write_text(json.dumps({"steps": steps}))
    about = Pi0.from_pretrained(folder).about
    assert about["cameras"] == ["observation.images.top", names[1]]


@pytest.mark.parametrize("told", [features("observation.images.top"), {}])
@pytest.mark.parametrize(
    "option", ["adapt_to_pi_aloha", "use_delta_joint_actions_aloha", "use_relative_actions"]
)
def test_options_that_nothing_here_undoes_are_refused_by_name(folder, option, told):
    """Also where config.json tells nothing of cameras, and the caller names them."""
    change(folder / "config.json", **told | {option: True, "output_features": {}})
    with pytest.raises(ValueError, match=option):
        Policy.from_pretrained(folder, stats=STATS, cameras=["top"])


@pytest.mark.parametrize("mapping", [["MEAN_STD"], "MEAN_STD"])
def test_a_mapping_that_is_none_is_named(folder, mapping):
    change(folder / "config.json", normalization_mapping=mapping)
    processor(folder, "preprocessor", "normalizer", None, lerobots_numbers())
    with pytest.raises(ValueError, match="config.json: normalization_mapping is .*, no dict"):
        Pi0.from_pretrained(folder)


def test_which_actions_are_relative():
    """LeRobot's rule: an action stays absolute where its name holds an excluded part."""
    names = ["left_shoulder", "left_Gripper", "right_shoulder"]
    assert relative_flags(names, ["gripper"], 3) == [True, False, True]
    assert relative_flags(names, ["left"], 4) == [False, False, True, True]
    assert relative_flags(None, ["gripper"], 2) == relative_flags(names, [], 2) == [True, True]


@pytest.mark.parametrize("place", ["config.json", "processor"])
def test_relative_actions_of_lerobot_are_honoured(folder, place):
    names = ["shoulder", "gripper", "other"]
    options = dict(use_relative_actions=True, action_feature_names=names)
    change(folder / "config.json", **features("observation.images.top"))
    if place == "config.json":
        change(folder / "config.json", relative_exclude_joints=["gripper", "other"], **options)
    else:
        step = {"enabled": True, "exclude_joints": ["gripper", "other"], "action_names": names}
        steps = [{"registry_name": "relative_actions_processor", "config": step}]
        (folder / "policy_preprocessor.json").write_text(json.dumps({"steps": steps}))
    loaded = Pi0.from_pretrained(folder)
    assert loaded.about["relative_actions"] == [True, False, False]
    about = loaded.about | {"tokenizer": "bytes"}
    loaded = Pi0(replace(TINY, vocab_size=260)).eval()
    loaded.about = about
    seen = {"top": np.zeros((8, 8, 3), np.uint8), "state": np.array([3.0, 5.0]), "prompt": "go"}
    absolute = loaded.about | {"relative_actions": []}
    with_state = Policy(loaded, stats=STATS)(seen)
    without = Policy(loaded, stats=STATS, about=absolute)(seen)
    np.testing.assert_allclose(with_state - without, np.tile([3.0, 0.0, 0.0], (4, 1)), atol=1e-5)
    with pytest.raises(ValueError, match="action 2 is relative to the state, which has 2 numbers"):
        Policy(loaded, stats=STATS, about=loaded.about | {"relative_actions": [True] * 3})


def test_how_lerobot_normalised_is_compared_with_the_data(folder):
    """Weights that know quantiles read z-scores wrongly: that is named before training."""
    modes = {"STATE": "QUANTILES", "ACTION": "QUANTILES"}
    change(folder / "config.json", **features("observation.images.top"))
    for mode, said in (("QUANTILES", "quantile"), ("IDENTITY", "quantile and IDENTITY")):
        change(folder / "config.json", normalization_mapping=modes | {"ACTION": mode})
        about = open_checkpoint(folder).about()
        found = differences(about, {"normalise": "z-score"})
        assert found["normalise"] == f"{said} then, z-score now"


def test_differences_of_two_data_sets():
    assert differences(ABOUT, ABOUT) == differences(None, ABOUT) == differences(ABOUT, {}) == {}
    now = ABOUT | {
        "cameras": ["wrist", "front"],
        "fps": 10.0,
        "tokenizer": "google/paligemma-3b-pt-224",
        "relative_actions": [True, False, False],
        "prompt_length": 48,  # no difference: padding changes nothing
    }
    found = differences(ABOUT, now)
    assert set(found) == {"cameras", "fps", "tokenizer", "relative_actions"}
    assert found["fps"] == "30.0 then, 10.0 now"
    same = ABOUT | {"cameras": ["front", "wrist"], "relative_actions": [False] * 3}
    assert differences(ABOUT, same) == {}


def test_a_mixture_differs_as_its_nearest_data_set_does():
    """Trained on two robots, then on a third: that was said of no mixture."""
    near, far = {"fps": 10, "action_names": ["x"]}, {"fps": 20, "action_names": ["y"]}
    mixture = {"tokenizer": "bytes", "data_sets": [far, near]}
    assert not differences(mixture, near) and not differences(near, mixture)
    assert differences(mixture, near | {"fps": 15}) == {"fps": "10 then, 15 now"}
    assert not differences(mixture, mixture)
    assert differences(mixture, near | {"tokenizer": "paligemma"}).keys() == {"tokenizer"}


# ---------------------------------------------------------------- what LeRobot needs to run ours


def test_files_for_lerobot(tmp_path):
    about = ABOUT | {"relative_actions": [True, True, False]}
    tiny().save_pretrained(tmp_path, layout="lerobot", stats=STATS, about=about)
    config = json.loads((tmp_path / "config.json").read_text())
    wanted = features(*ABOUT["cameras"])
    assert config["input_features"] == wanted["input_features"]
    assert config["output_features"] == wanted["output_features"]
    assert config["use_relative_actions"] and config["relative_exclude_joints"] == ["gripper"]
    pre, post = (
        json.loads((tmp_path / f"policy_{name}.json").read_text())
        for name in ("preprocessor", "postprocessor")
    )
    assert [step["registry_name"] for step in pre["steps"]] == [
        *("rename_observations_processor", "to_batch_processor", "pi0_new_line_processor"),
        *("tokenizer_processor", "device_processor", "relative_actions_processor"),
        "normalizer_processor",
    ]
    assert [step["registry_name"] for step in post["steps"]] == [
        *("unnormalizer_processor", "absolute_actions_processor", "device_processor")
    ]
    for step in (pre["steps"][-1], post["steps"][0]):
        assert step["config"]["norm_map"]["ACTION"] == "MEAN_STD"
        tensors = load_file(tmp_path / step["state_file"])
        assert torch.equal(tensors["action.mean"], STATS["action_mean"])
    # read back by their names alone, without what minipi0 noted in the weights' file
    file = tmp_path / "model.safetensors"
    save_file(load_file(file), file, {"format": "pt"})
    loaded = Pi0.from_pretrained(tmp_path)
    assert all(torch.equal(loaded.stats[name], STATS[name]) for name in STATS)
    assert loaded.about["cameras"] == ABOUT["cameras"]
    assert loaded.about["relative_actions"] == [True, True, False]


@pytest.mark.parametrize("mode", ["z-score", "quantile", "min-max"])
def test_lerobots_formula_gives_our_numbers(mode, tmp_path):
    """Its formula, written out from its code; also where a dim never changes."""
    first, second = {"z-score": ("mean", "std"), "quantile": ("q01", "q99")}.get(
        mode, ("min", "max")
    )
    low, high = torch.tensor([-1.0, 2.0]), torch.tensor([3.0, 2.0])
    if mode == "z-score":
        high = torch.tensor([3.0, 0.0])
    ours = {f"{what}_{first}": low for what in ("state", "action")}
    ours |= {f"{what}_{second}": high for what in ("state", "action")}
    tiny().save_pretrained(tmp_path, layout="lerobot", stats=ours, about=ABOUT)
    [file] = tmp_path.glob("*_unnormalizer_processor.safetensors")
    theirs = load_file(file)
    a, b = theirs[f"action.{first}"], theirs[f"action.{second}"]
    x = torch.tensor([0.3, -0.7])
    robot = x * b + a if mode == "z-score" else (x + 1) / 2 * (b - a) + a
    torch.testing.assert_close(robot, normalisers(ours)["action"].to_robot(x))


def test_what_lerobot_cannot_name_is_refused(tmp_path):
    about = ABOUT | {"relative_actions": [False, True, True], "action_names": ["a", "ab", "abc"]}
    with pytest.raises(ValueError, match="LeRobot names actions that are not relative"):
        tiny().save_pretrained(tmp_path / "new", layout="lerobot", stats=STATS, about=about)
    assert not (tmp_path / "new").exists()


def test_full_size_configuration_has_only_keys_that_lerobot_knows():
    """LeRobot's configuration class refuses any other key."""
    sizes = Pi0Config.full().to_dict()
    about = ABOUT | {"relative_actions": [True, True, False]}
    known = {
        *("type", "paligemma_variant", "action_expert_variant", "chunk_size", "n_action_steps"),
        *("max_state_dim", "max_action_dim", "image_resolution", "input_features"),
        *("output_features", "normalization_mapping", "tokenizer_max_length"),
        *("use_relative_actions", "relative_exclude_joints", "action_feature_names"),
    }
    assert set(config_of(sizes) | options(sizes, STATS, about)) == known


# ---------------------------------------------------------------- as others leave it


def test_statistics_under_a_data_sets_own_names_are_told(folder):
    """Checkpoints that were trained on several data sets, and migrated by LeRobot's script."""
    theirs = {f"so100.buffer.{name}": x for name, x in lerobots_numbers().items()}
    modes = {"STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
    processor(folder, "preprocessor", "normalizer", modes, theirs)
    processor(folder, "postprocessor", "unnormalizer", modes, theirs)
    with pytest.warns(
        UserWarning, match=r"no observation.state.mean \(but so100.buffer.action.max"
    ):
        assert Pi0.from_pretrained(folder).stats is None


@pytest.mark.parametrize("place", ["", "my-robot/", "physical-intelligence/libero/"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_openpis_statistics_in_other_places(folder, place, wrapped):
    names = {"state": "state", "actions": "action"}
    parts = {
        key: {part: STATS[f"{name}_{part}"].tolist() for part in ("mean", "std")} | {"q01": None}
        for key, name in names.items()
    }
    file = folder / place / "norm_stats.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"norm_stats": parts} if wrapped else parts))
    stats = Pi0.from_pretrained(folder).stats
    assert {k: x.tolist() for k, x in stats.items()} == {k: x.tolist() for k, x in STATS.items()}
    file.write_text(json.dumps({"format": "another", "metadata_by_tag": {}}))  # of another model
    with pytest.warns(UserWarning, match="norm_stats.json does not hold .*: none is taken"):
        assert Pi0.from_pretrained(folder).stats is None


@pytest.mark.parametrize("before", ["_orig_mod.", "module.", "module._orig_mod."])
def test_names_from_compiled_or_parallel_models(folder, before):
    file, right = folder / "model.safetensors", Pi0.from_pretrained(folder)
    save_file({before + name: x.clone() for name, x in load_file(file).items()}, file)
    for one, other in zip(
        Pi0.from_pretrained(folder).parameters(), right.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_pickled_weights_are_named(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="pickled weights, .*: convert them with safetens"):
        Pi0.from_pretrained(folder)
