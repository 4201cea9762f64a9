"""Weights between minipi0 and the others: transformers' PI0 and PaliGemma run live, LeRobot's
and openpi's names and configurations.
"""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import reference as ref
import torch
from safetensors.torch import load_file, save_file
from transformers import PaliGemmaForConditionalGeneration, PI0ForConditionalGeneration

from minipi0 import ExpertConfig, Pi0, Pi0Config, VisionConfig, checkpoint
from minipi0.checkpoint import layouts, store
from minipi0.checkpoint.sizes import (
    config_of,
    paligemma_sizes,
    sizes_from_config,
    sizes_from_shapes,
)
from minipi0.normalise import normalisers
from minipi0.pi0 import block_mask

CONFIG = ref.tiny(kv_heads=2, depth=2)
RELEASED_HEADS = (
    Pi0Config(  # small, but with the released head sizes, which shapes alone do not tell
        vlm=ExpertConfig(width=32, depth=2, mlp_dim=40, num_heads=2, num_kv_heads=1, head_dim=256),
        action_expert=ExpertConfig(
            width=16, depth=2, mlp_dim=24, num_heads=2, num_kv_heads=1, head_dim=256
        ),
        vision=VisionConfig(
            image_size=20, patch_size=10, width=144, depth=1, num_heads=2, mlp_dim=24
        ),
        vocab_size=50,
        action_dim=5,
        state_dim=3,
        horizon=50,
    )
)
STATS = {
    "state_mean": torch.tensor([0.1, -2.0, 1 / 3]),
    "state_std": torch.tensor([1.0, 1e-3, 7.0]),
    "action_mean": torch.randn(5, generator=torch.Generator().manual_seed(0)),
    "action_std": torch.full((5,), 1 / 7),
}


def write(folder: Path, tensors: dict, config: dict | None = None) -> Path:
    """A checkpoint as other programs write it."""
    folder.mkdir(exist_ok=True)
    save_file(
        {name: tensor.clone().contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def assert_same_weights(a: Pi0, b: Pi0):
    ours, theirs = dict(a.named_parameters()), dict(b.named_parameters())
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


# ---------------------------------------------------------------- transformers' PI0


@pytest.fixture(scope="module")
def reference() -> PI0ForConditionalGeneration:
    torch.manual_seed(0)
    return ref.reference_pi0(CONFIG)


def assert_same_actions(model: Pi0, reference: PI0ForConditionalGeneration):
    observation = ref.random_observation(model.config)
    noise = torch.randn(
        3, model.config.horizon, model.config.action_dim, generator=torch.Generator().manual_seed(1)
    )
    theirs = reference.sample_actions(
        noise=noise, **ref.reference_inputs(observation, model.config)
    )
    torch.testing.assert_close(
        model.sample_actions(observation, noise=noise), theirs, rtol=0, atol=2e-5
    )


def test_as_transformers_saves_it(reference, tmp_path):
    """Its folder is enough: weights under the names it writes, sizes from its config.json."""
    reference.save_pretrained(tmp_path)
    model = Pi0.from_pretrained(tmp_path)
    assert model.config == CONFIG and model.stats is None
    assert_same_actions(model, reference)


def test_as_transformers_shards_it(reference, tmp_path):
    reference.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert_same_actions(Pi0.from_pretrained(tmp_path), reference)


def test_as_transformers_names_it_in_memory(reference, tmp_path):
    state = reference.state_dict()
    assert any(name.startswith("model.vlm.") for name in state)
    assert_same_actions(Pi0.from_pretrained(write(tmp_path, state), config=CONFIG), reference)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_transformers_loads_ours_strictly(dtype, tmp_path):
    """And what it saves again comes back bit for bit, the velocity's sign turned twice."""
    model = ref.random_pi0(CONFIG, seed=2).to(dtype)
    model.save_pretrained(tmp_path / "ours", layout="lerobot", stats=STATS)
    loaded, report = PI0ForConditionalGeneration.from_pretrained(
        tmp_path / "ours", output_loading_info=True, dtype=dtype
    )
    assert not any(report.values()), report
    assert torch.equal(loaded.action_out_proj.weight, -model.action_out_proj.weight)
    loaded.save_pretrained(tmp_path / "theirs")
    assert_same_weights(Pi0.from_pretrained(tmp_path / "theirs"), model)
    if dtype == torch.float32:
        assert_same_actions(model, ref._ready(loaded, float64_time=True))


# ---------------------------------------------------------------- LeRobot and openpi


def lerobot_modules(config: Pi0Config) -> torch.nn.Module:
    """Modules under LeRobot's names, put together from transformers' own: its strict
    load_state_dict is LeRobot's way of loading.
    """
    sizes = ref.reference_config(config)
    policy = torch.nn.Module()
    policy.model = torch.nn.Module()
    policy.model.paligemma_with_expert = both = torch.nn.Module()
    both.paligemma = PaliGemmaForConditionalGeneration(sizes.vlm_config)
    both.gemma_expert = torch.nn.Module()
    both.gemma_expert.model = PI0ForConditionalGeneration(sizes).model.dit
    both.gemma_expert.model.embed_tokens = None
    width = config.action_expert.width
    both.gemma_expert.lm_head = torch.nn.Linear(width, config.vocab_size, bias=False)
    shapes = {
        "state_proj": (config.state_dim, width),
        "action_in_proj": (config.action_dim, width),
        "action_out_proj": (width, config.action_dim),
        "action_time_mlp_in": (2 * width, width),
        "action_time_mlp_out": (width, width),
    }
    for name, (inputs, outputs) in shapes.items():
        setattr(policy.model, name, torch.nn.Linear(inputs, outputs))
    return policy


def test_modules_with_lerobots_names_load_ours_strictly(tmp_path):
    model = ref.random_pi0(CONFIG, seed=4)
    model.save_pretrained(tmp_path, layout="lerobot")
    tensors = load_file(tmp_path / "model.safetensors")
    level = any(
        ".vision_tower.vision_model." in name for name in lerobot_modules(CONFIG).state_dict()
    )
    # the installed transformers has one level less than the one LeRobot pins, in the tower alone
    if not level:
        tensors = {
            name.replace("vision_tower.vision_model.", "vision_tower."): tensor
            for name, tensor in tensors.items()
        }
    policy = lerobot_modules(CONFIG)
    policy.load_state_dict(tensors, strict=True)
    assert not policy.model.paligemma_with_expert.gemma_expert.lm_head.weight.any()
    assert_same_weights(
        Pi0.from_pretrained(write(tmp_path / "back", policy.state_dict()), config=CONFIG), model
    )


def test_older_spellings(tmp_path):
    """LeRobot before 0.4 and openpi's files, whose tied embedding is only there as lm_head."""
    model = ref.random_pi0(CONFIG)
    model.save_pretrained(tmp_path, layout="lerobot")
    new = load_file(tmp_path / "model.safetensors")
    paligemma = "paligemma_with_expert.paligemma."
    changes = [
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
    ]
    older = {}
    for name, tensor in new.items():
        for there, then in changes:
            name = name.replace(paligemma + there, paligemma + then)
        older[name] = tensor
    openpi = {
        name.removeprefix("model."): tensor
        for name, tensor in new.items()
        if "embed_tokens" not in name
    }
    assert len(older.keys() - new.keys()) > 30 and len(openpi) == len(new) - 1
    for tensors in (older, openpi):
        assert_same_weights(
            Pi0.from_pretrained(write(tmp_path / "other", tensors), config=CONFIG), model
        )


@pytest.mark.parametrize(
    "values, changes",
    [
        ({"type": "pi0"}, {}),
        (
            {"type": "pi0", "chunk_size": 16, "max_action_dim": 7, "max_state_dim": 9},
            {"horizon": 16, "action_dim": 7, "state_dim": 9},
        ),
        (
            {
                "action_horizon": 10,
                "action_dim": 8,
                "paligemma_variant": "gemma_2b",
                "action_expert_variant": "gemma_300m",
                "precision": "bfloat16",
            },
            {"horizon": 10, "action_dim": 8, "state_dim": 8},
        ),
        (
            {"type": "pi0", "image_resolution": [448, 448]},
            {"vision": VisionConfig(448, 14, 1152, 27, 16, 4304)},
        ),
        (
            {"type": "pi0", "paligemma_variant": "gemma_300m"},
            {"vlm": Pi0Config.full().action_expert},
        ),
        (
            {"model_type": "pi0", "vlm_config": None, "dit_config": None, "chunk_size": 20},
            {"horizon": 20},
        ),
    ],
)
def test_sizes_in_released_configurations(values, changes):
    assert Pi0Config.from_dict(sizes_from_config(values)) == replace(Pi0Config.full(), **changes)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"type": "pi05"}, "describes a pi05, not a pi0"),
        ({"type": "pi0", "pi05": True}, "describes a pi05"),
        ({"model_type": "paligemma"}, "Pi0.from_paligemma"),
        ({"type": "pi0", "paligemma_variant": "gemma_9b"}, "variant 'gemma_9b', of which only"),
        ({"model_type": "pi0", "vlm_config": 3}, "does not hold a pi0's sizes"),
        ({"model_type": "pi0", "vlm_config": None, "max_period": 40.0}, "periods are not pi0's"),
        (
            {
                "model_type": "pi0",
                "vlm_config": None,
                "dit_config": {"model_type": "gemma", "rms_norm_eps": 1e-5},
            },
            "its rms_norm_eps",
        ),
        ({"type": "pi0", "chunk_size": "many"}, "horizon must be a positive integer"),
        ({}, "it holds none"),
    ],
)
def test_other_configurations_are_refused(values, message, tmp_path):
    ref.random_pi0(CONFIG).save_pretrained(tmp_path, layout="lerobot")
    with pytest.raises(ValueError, match=message):
        Pi0.from_pretrained(write(tmp_path, load_file(tmp_path / "model.safetensors"), values))


@pytest.mark.parametrize(
    "config",
    [
        Pi0Config.full(),
        replace(Pi0Config.full(), horizon=16, action_dim=7),
        Pi0Config.mini(),
        CONFIG,
    ],
)
def test_written_configurations_read_back(config):
    sizes = config.to_dict()
    values = json.loads(json.dumps(config_of(sizes)))
    assert sizes_from_config(values) == sizes
    assert ("type" in values) == (
        config.vlm == Pi0Config.full().vlm
    )  # LeRobot knows no other sizes, and no other keys


# ---------------------------------------------------------------- no configuration


def test_sizes_from_shapes_say_what_they_assume(tmp_path):
    model = ref.random_pi0(RELEASED_HEADS)
    model.save_pretrained(tmp_path, layout="lerobot")
    folder = write(tmp_path / "bare", load_file(tmp_path / "model.safetensors"))
    with pytest.warns(
        UserWarning,
        match=r"a head size of 256 \(2 heads\), one of 72 .* \(2 heads\), 20-pixel images and a "
        r"horizon of 50",
    ):
        loaded = Pi0.from_pretrained(folder)
    assert loaded.config == RELEASED_HEADS
    assert_same_weights(loaded, model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing was assumed where the file itself tells
        assert Pi0.from_pretrained(tmp_path / "model.safetensors").config == RELEASED_HEADS


def test_full_size_from_shapes():
    with torch.device("meta"):
        state = {
            layouts.own_name(name): p.detach()
            for name, p in Pi0(Pi0Config.full()).named_parameters()
        }
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in layouts.to_released(state, Pi0Config.full().to_dict()).items()
    }
    assert Pi0Config.from_dict(sizes_from_shapes(shapes)[0]) == Pi0Config.full()


def test_shapes_that_do_not_tell(tmp_path):
    ref.random_pi0(CONFIG).save_pretrained(tmp_path, layout="lerobot")
    tensors = load_file(tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match="width 24 is no multiple of the released head size 72; pass config="
    ):
        Pi0.from_pretrained(write(tmp_path / "bare", tensors))
    wide = replace(CONFIG, vision=replace(CONFIG.vision, width=144))
    ref.random_pi0(wide).save_pretrained(tmp_path, layout="lerobot")
    with pytest.raises(
        ValueError,
        match="64 rows of queries and 32 of keys are no multiples of the released head size 256; "
        "pass config=",
    ):
        Pi0.from_pretrained(write(tmp_path / "bare", load_file(tmp_path / "model.safetensors")))
    with pytest.raises(
        ValueError,
        match="there is no tensor 'paligemma_with_expert.*patch_embedding.weight'; pass config=",
    ):
        Pi0.from_pretrained(write(tmp_path / "poor", {"state_proj.bias": torch.zeros(2)}))


def test_weights_beside_another_models_configuration(tmp_path):
    """The same shapes with twice the heads: nothing but the note in the weights' file could
    tell.
    """
    model = ref.random_pi0(CONFIG)
    heads = dict(num_heads=8, num_kv_heads=4, head_dim=8)
    other = replace(
        CONFIG,
        vlm=replace(CONFIG.vlm, **heads),
        action_expert=replace(CONFIG.action_expert, **heads),
    )
    for layout in ("minipi0", "lerobot"):
        model.save_pretrained(tmp_path, layout)
        file = tmp_path / "config.json"
        file.write_text(
            json.dumps(
                {"minipi0": other.to_dict()} if layout == "minipi0" else config_of(other.to_dict())
            )
        )
        with pytest.raises(ValueError, match="config.json belongs to other weights"):
            Pi0.from_pretrained(tmp_path)
        assert Pi0.from_pretrained(tmp_path, config=other).config == other


# ---------------------------------------------------------------- statistics


@pytest.mark.parametrize("layout", ["minipi0", "lerobot"])
def test_statistics_travel_with_the_weights(layout, tmp_path):
    model = ref.random_pi0(CONFIG)
    model.save_pretrained(tmp_path / "first", layout, stats=STATS)
    model = Pi0.from_pretrained(tmp_path / "first")
    model.save_pretrained(tmp_path / "second", layout)  # passed on
    for loaded in (
        model,
        Pi0.from_pretrained(tmp_path / "second"),
        Pi0.from_pretrained(tmp_path / "second" / "model.safetensors"),
    ):
        assert loaded.stats.keys() == STATS.keys()
        assert all(
            torch.equal(loaded.stats[name], values) and values.dtype == torch.float32
            for name, values in STATS.items()
        )


def test_statistics_that_cannot_be(tmp_path):
    model = ref.random_pi0(CONFIG)
    short = {name: values for name, values in STATS.items() if name != "state_std"}
    long = {"state_mean": torch.zeros(4), "state_std": torch.ones(4)}
    for stats, message in (
        (STATS | {"action_std": torch.full((5,), float("nan"))}, "std is nan in dimension 0"),
        (short, "stats must hold state_mean, state_std"),
        (STATS | {"state_mean": torch.zeros(1, 3)}, "vectors of one length"),
        (STATS | {"action_mean": torch.zeros(4)}, "vectors of one length"),
        (STATS | long, "stats of the state have 4 dims, the model has 3"),
    ):
        with pytest.raises(ValueError, match=message):
            model.save_pretrained(tmp_path / "new", stats=stats)
    assert not (tmp_path / "new").exists()


def test_lerobots_statistics(tmp_path):
    ref.random_pi0(CONFIG).save_pretrained(tmp_path, layout="lerobot")
    names = dict(
        state_mean="observation.state.mean",
        state_std="observation.state.std",
        action_mean="action.mean",
        action_std="action.std",
    )
    tensors = {names[name]: values for name, values in STATS.items()} | {
        "action.max": torch.ones(5)
    }
    save_file(tensors, tmp_path / "policy_preprocessor_step_5_normalizer_processor.safetensors")
    stats = Pi0.from_pretrained(tmp_path).stats
    assert stats.keys() == STATS.keys() and all(
        torch.equal(stats[name], values) for name, values in STATS.items()
    )
    file = tmp_path / "policy_preprocessor_step_5_normalizer_processor.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(
        ValueError, match="normalizer_processor.safetensors is not a complete safetensors file"
    ):
        Pi0.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("place", "name"),
    [("config.json", "normalization_mapping"), ("policy_preprocessor.json", "norm_map")],
)
def test_lerobots_statistics_by_the_formula_that_its_files_name(tmp_path, place, name):
    ref.random_pi0(CONFIG).save_pretrained(tmp_path, layout="lerobot")
    config = json.loads((tmp_path / "config.json").read_text())
    tensors = {}
    for what, dims in (("observation.state", 3), ("action", 5)):
        for number, value in dict(mean=0, std=1, q01=-2, q99=3, min=-5, max=6).items():
            tensors[f"{what}.{number}"] = torch.full((dims,), float(value))
    save_file(tensors, tmp_path / "policy_preprocessor_step_5_normalizer_processor.safetensors")

    def normalised_by(state, action):
        modes = {"VISUAL": "IDENTITY", "STATE": state, "ACTION": action}
        if place == "config.json":
            (tmp_path / place).write_text(json.dumps(config | {name: modes}))
        else:
            steps = [{"registry_name": "rename"}, {"config": {name: modes}}]
            (tmp_path / place).write_text(json.dumps({"steps": steps}))
        return Pi0.from_pretrained(tmp_path).stats

    assert set(normalised_by("MEAN_STD", "MEAN_STD")) == STATS.keys()
    stats = normalised_by("QUANTILES", "MIN_MAX")
    assert set(stats) == {"state_q01", "state_q99", "action_min", "action_max"}
    assert normalisers(stats)["state"].to_model(torch.full((3,), 3.0)).tolist() == [1, 1, 1]
    with pytest.warns(
        UserWarning, match="normalises the action by IDENTITY: no statistics are taken"
    ):
        assert normalised_by("MEAN_STD", "IDENTITY") is None
    tensors.pop("observation.state.q99")
    save_file(tensors, tmp_path / "policy_preprocessor_step_5_normalizer_processor.safetensors")
    with pytest.warns(UserWarning, match="QUANTILES, but holds no observation.state.q99"):
        assert normalised_by("QUANTILES", "MEAN_STD") is None


def test_openpis_statistics(tmp_path):
    ref.random_pi0(CONFIG).save_pretrained(tmp_path, layout="lerobot")
    mine, other = tmp_path / "assets" / "someone" / "my-robot", tmp_path / "assets" / "other"
    names = {"state": "state", "actions": "action"}
    parts = {
        key: {part: STATS[f"{name}_{part}"].tolist() for part in ("mean", "std")}
        for key, name in names.items()
    }
    for folder in (mine, other):
        folder.mkdir(parents=True)
        (folder / "norm_stats.json").write_text(json.dumps({"norm_stats": parts}))
    with pytest.warns(
        UserWarning,
        match=r"statistics of several data sets \(other, someone/my-robot\): none is taken",
    ):
        assert Pi0.from_pretrained(tmp_path).stats is None
    (other / "norm_stats.json").unlink()
    stats = Pi0.from_pretrained(tmp_path).stats
    assert stats.keys() == STATS.keys() and all(
        torch.equal(stats[name], values) for name, values in STATS.items()
    )
    for broken in (
        {},
        {"norm_stats": {"state": parts["state"]}},
        {"norm_stats": parts | {"actions": {"mean": "x", "std": 1}}},
    ):
        (mine / "norm_stats.json").write_text(json.dumps(broken))
        with pytest.raises(
            ValueError,
            match="my-robot/norm_stats.json does not hold openpi's normalisation statistics",
        ):
            Pi0.from_pretrained(tmp_path)


# ---------------------------------------------------------------- PaliGemma


def paligemma(
    vocab_size: int = 60, image_token: int = 60, **changes
) -> PaliGemmaForConditionalGeneration:
    sizes = ref.reference_config(ref.tiny(**changes)).vlm_config
    sizes.image_token_id, sizes.text_config.vocab_size = image_token, vocab_size
    torch.manual_seed(0)
    model = PaliGemmaForConditionalGeneration(sizes).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:  # no trivial norms or biases
                parameter.normal_(
                    float(
                        "layer" in name
                        and "norm" in name
                        and "vision" in name
                        and name.endswith("weight")
                    ),
                    0.2,
                )
    return model


EXPERT = ExpertConfig(width=32, depth=2, mlp_dim=40, num_heads=4, num_kv_heads=2, head_dim=16)
HUB = [  # transformers' names in memory -> those of google/paligemma-3b-pt-224
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("lm_head.", "language_model.lm_head."),
]


def hub_names(theirs: PaliGemmaForConditionalGeneration) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, tensor in theirs.state_dict().items():
        for there, hub in HUB:
            name = hub + name[len(there) :] if name.startswith(there) else name
        if "lm_head" not in name:  # tied: the Hub's file has the embedding only
            level = (
                "vision_tower."
                if "vision_tower.vision_model." in name
                else "vision_tower.vision_model."
            )
            tensors[name.replace("vision_tower.", level)] = tensor
    return tensors


@torch.no_grad()
@pytest.mark.parametrize("source", ["as saved", "as on the Hub", "in memory", "in shards"])
@pytest.mark.parametrize("kv_heads", [1, 2])
def test_prefix_features_as_in_paligemma(source, kv_heads, tmp_path):
    """Its language model's output over images and text, to the last layer.

    It divides or multiplies image features by nothing, as pi0; its positions count from one, ours
    from zero, which rotary embeddings cannot tell.
    """
    theirs = paligemma(kv_heads=kv_heads, depth=2)
    if source in ("as saved", "in shards"):
        theirs.save_pretrained(
            tmp_path, **({} if source == "as saved" else {"max_shard_size": "100KB"})
        )
    else:
        theirs.config.save_pretrained(tmp_path)
        write(tmp_path, hub_names(theirs) if source == "as on the Hub" else theirs.state_dict())
    model = Pi0.from_paligemma(
        tmp_path, replace(EXPERT, num_kv_heads=kv_heads), action_dim=5, state_dim=3, horizon=6
    )
    assert model.config == replace(
        ref.tiny(kv_heads=kv_heads, depth=2), action_expert=replace(EXPERT, num_kv_heads=kv_heads)
    )

    observation = ref.random_observation(model.config, cameras=1)
    observation.token_mask[1, 4:] = False
    inputs = ref.reference_inputs(observation, model.config)
    expected = theirs.model(
        input_ids=inputs["input_ids"].clamp(max=60),
        pixel_values=observation.images[:, 0],
        attention_mask=inputs["attention_mask"],
        token_type_ids=torch.zeros_like(
            inputs["input_ids"]
        ),  # all of it is prompt: everyone sees everyone
    ).last_hidden_state
    prefix, valid = model.embed_prefix(observation)
    allowed = block_mask(torch.zeros(valid.shape[1], dtype=torch.bool), valid)
    features, cache = model.experts.prefix(prefix, allowed, valid.cumsum(1) - 1, output=True)
    assert len(cache) == 2 and features[valid].abs().mean() > 0.1
    torch.testing.assert_close(features[valid], expected[valid], rtol=0, atol=1e-5)


def test_the_fresh_action_expert(tmp_path):
    """Initialised as a new Pi0's, nothing left over from the meta device, and ready to train, save
    and load.
    """
    paligemma(kv_heads=2, depth=2).to(torch.bfloat16).save_pretrained(tmp_path / "vlm")
    torch.manual_seed(1)
    model = Pi0.from_paligemma(
        tmp_path / "vlm", EXPERT, action_dim=5, state_dim=3, horizon=6, dtype=torch.float32
    )
    fresh = Pi0(model.config)
    for name, parameter in model.named_parameters():
        assert (
            not parameter.is_meta
            and parameter.dtype == torch.float32
            and parameter.isfinite().all()
        ), name
        if not layouts.own_name(name).startswith(layouts.PALIGEMMA):
            like = dict(fresh.named_parameters())[name]
            assert parameter.abs().max() <= 1.2 * like.abs().max() and (
                parameter.ndim == 1 or parameter.std() > 0.5 * like.std()
            ), name
    assert not model.experts.action.norm.weight.any() and model.stats is None
    observation, actions = ref.random_observation(model.config), torch.randn(3, 6, 5)
    model.loss(observation, actions).backward()
    assert model.action_in_proj.weight.grad.any() and model.embedding.weight.grad.any()
    model.save_pretrained(tmp_path / "pi0", layout="lerobot")
    assert_same_weights(Pi0.from_pretrained(tmp_path / "pi0"), model)
    torch.manual_seed(1)
    again = Pi0.from_paligemma(
        tmp_path / "vlm", EXPERT, action_dim=5, state_dim=3, horizon=6, dtype=torch.float32
    )
    assert_same_weights(again, model)
    assert Pi0.from_paligemma(tmp_path / "vlm").config.action_expert == ExpertConfig(
        1024, 2, 4096, 4, 2, 16
    )
    assert {p.dtype for p in Pi0.from_paligemma(tmp_path / "vlm", EXPERT).parameters()} == {
        torch.bfloat16
    }


def test_rows_for_the_image_placeholder_are_left_out(tmp_path):
    """The Hub's file pads its vocabulary from 257,152 to 257,216 rows; here from 60 to 76."""
    theirs = paligemma(vocab_size=76, image_token=60)
    theirs.save_pretrained(tmp_path)
    model = Pi0.from_paligemma(tmp_path, replace(EXPERT, num_kv_heads=1, depth=3))
    assert model.config.vocab_size == 60
    assert torch.equal(model.embedding.weight, theirs.model.language_model.embed_tokens.weight[:60])
    hub = {
        "model_type": "paligemma",
        "image_token_index": 257152,
        "text_config": {"model_type": "gemma", "vocab_size": 257216},
    }
    tower = {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_attention_heads": 16,
        "num_hidden_layers": 27,
        "patch_size": 14,
    }
    sizes = paligemma_sizes(hub | {"vision_config": {"model_type": "siglip_vision_model", **tower}})
    full = Pi0Config.full()
    assert (
        sizes["vocab_size"] == 257152
        and sizes["vision"] == asdict(full.vision)
        and sizes["vlm"]["head_dim"] == 256
    )


def test_what_is_no_paligemma(tmp_path):
    theirs = paligemma(kv_heads=1)
    theirs.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="depth is 3 in the VLM and 2 in the action expert"):
        Pi0.from_paligemma(tmp_path, replace(EXPERT, num_kv_heads=1))
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["language_model.model.norm.weight"]
    write(tmp_path, tensors | {"surprise": torch.zeros(1)})
    with pytest.raises(
        ValueError, match=r"1 missing:\n  .*language_model.norm.weight\n1 unexpected:\n  surprise"
    ):
        Pi0.from_paligemma(tmp_path)
    ref.random_pi0(CONFIG).save_pretrained(tmp_path / "pi0", layout="lerobot")
    with pytest.raises(ValueError, match="describes a 'pi0', not a PaliGemma"):
        Pi0.from_paligemma(tmp_path / "pi0")
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match="no config.json beside the weights"):
        Pi0.from_paligemma(tmp_path)


# ---------------------------------------------------------------- files


def test_a_progress_bar_for_big_files(tmp_path, monkeypatch, capsys):
    ref.random_pi0(CONFIG).save_pretrained(tmp_path)
    Pi0.from_pretrained(tmp_path)
    assert "loading weights" not in capsys.readouterr().err
    monkeypatch.setattr(store, "WORTH_A_BAR", 1000)
    Pi0.from_pretrained(tmp_path)
    assert "loading weights: 100%" in capsys.readouterr().err


def test_files_are_what_safetensors_itself_would_read(tmp_path):
    """Written by hand, so that views of a fused matrix need no copy: mixed dtypes, odd sizes."""
    tensors = {
        "a": torch.randn(3, 5).bfloat16(),
        "b": torch.randn(7),
        "c": torch.randn(4, 2).double().T,
        "d": torch.zeros(0, 3),
    }
    checkpoint.write_tensors(tmp_path / "x.safetensors", tensors, {"format": "pt"})
    loaded = load_file(tmp_path / "x.safetensors")
    assert loaded.keys() == tensors.keys() and all(
        torch.equal(loaded[name], tensor) for name, tensor in tensors.items()
    )
