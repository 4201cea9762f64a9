"""The model against two independent implementations of pi0: LeRobot's recorded outputs, and
transformers' class run live.

LeRobot's files are looked for in $MINIPI0_PARITY, else in ../shared/parity/pi0_tiny beside the
checkout.
"""

import json
import os
import tempfile
from functools import cache
from pathlib import Path

import pytest
import reference as ref
import torch
from safetensors.torch import load_file

from minipi0 import ExpertConfig, Observation, Pi0, Pi0Config, VisionConfig, flow
from minipi0.checkpoint import layouts
from minipi0.pi0 import block_mask, time_embedding

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "parity" / "pi0_tiny"
GIVEN = os.environ.get("MINIPI0_PARITY")
FOLDER = Path(GIVEN or BESIDE)
recorded = pytest.mark.skipif(
    not GIVEN and not BESIDE.is_dir(),
    reason="no recorded outputs: $MINIPI0_PARITY is not set to their folder",
)

ATOL = 2e-5


def gradients(model: Pi0) -> dict[str, torch.Tensor]:
    """The gradients under their released names, so that they compare with those of an unfused
    model; zeros where there is none.
    """
    own = {
        layouts.own_name(n): torch.zeros_like(p) if p.grad is None else p.grad
        for n, p in model.named_parameters()
    }
    released = layouts.to_released(own, model.config.to_dict())
    return {name: g for name, g in released.items() if not name.endswith("lm_head.weight")}


def assert_gradients_agree(ours: dict, theirs: dict):
    """1e-4 relative per tensor, by norm.

    A key's bias has gradient zero in exact arithmetic: there both are only rounding.
    """
    assert ours.keys() == theirs.keys()
    scale = max(g.norm() for g in theirs.values())
    for name, expected in theirs.items():
        error = (ours[name] - expected).norm()
        assert error <= 1e-4 * expected.norm() + 1e-8 * scale, (
            f"{name}: {error:.1e} against {expected.norm():.1e}"
        )


# ---------------------------------------------------------------- LeRobot, recorded


@cache
def lerobot() -> tuple[Pi0, Observation, dict, dict]:
    """The model, the observation, all inputs and all outputs."""
    c = json.loads((FOLDER / "meta.json").read_text())["config"]
    vision = c["vision"]
    config = Pi0Config(
        vlm=ExpertConfig(**c["vlm"]),
        action_expert=ExpertConfig(**c["expert"]),
        vision=VisionConfig(
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            width=vision["hidden_size"],
            depth=vision["num_hidden_layers"],
            num_heads=vision["num_attention_heads"],
            mlp_dim=vision["intermediate_size"],
        ),
        vocab_size=c["vocab"],
        action_dim=c["action_dim"],
        state_dim=c["state_dim"],
        horizon=c["horizon"],
    )
    model = Pi0.from_pretrained(FOLDER / "state_dict.safetensors", config=config)
    inputs, outputs = (
        load_file(FOLDER / "inputs.safetensors"),
        load_file(FOLDER / "outputs.safetensors"),
    )
    observation = Observation(
        images=torch.stack([inputs[f"image_{i}"] for i in range(c["cameras"])], 1),
        image_mask=torch.stack([inputs[f"image_mask_{i}"] for i in range(c["cameras"])], 1),
        tokens=inputs["lang_tokens"],
        token_mask=inputs["lang_masks"],
        state=inputs["state"],
    )
    return model, observation, inputs, outputs


@recorded
@torch.no_grad()
def test_recorded_time_embedding_and_path():
    _, _, inputs, outputs = lerobot()
    tau = 1 - inputs["time"].double()
    width = outputs["time_emb"].shape[-1]
    torch.testing.assert_close(time_embedding(tau, width), outputs["time_emb"], rtol=0, atol=1e-12)
    torch.testing.assert_close(
        flow.interpolate(inputs["actions"], inputs["noise"], tau), outputs["x_t"], rtol=0, atol=1e-6
    )
    torch.testing.assert_close(
        flow.velocity_target(inputs["actions"], inputs["noise"]), -outputs["u_t"], rtol=0, atol=0
    )


@recorded
def test_recorded_mask_and_positions():
    *_, outputs = lerobot()
    valid = torch.cat([outputs["prefix_pad_masks"], outputs["suffix_pad_masks"]], dim=1)
    starts = torch.cat(
        [outputs["prefix_att_masks"][0].bool(), outputs["suffix_att_masks"][0].bool()]
    )
    assert starts.int().tolist() == [0] * 15 + [
        1,
        1,
        0,
        0,
        0,
        0,
    ]  # the state begins a block, the first action another
    assert torch.equal(block_mask(starts, valid), outputs["att_2d_masks"])
    assert torch.equal(valid.cumsum(1) - 1, outputs["position_ids"])


@recorded
@torch.no_grad()
def test_recorded_embeddings_and_cache():
    """Where a difference would begin."""
    model, observation, inputs, outputs = lerobot()
    prefix, valid = model.embed_prefix(observation)
    assert torch.equal(valid, outputs["prefix_pad_masks"])
    real = valid[..., None]
    torch.testing.assert_close(prefix * real, outputs["prefix_embs"] * real, rtol=0, atol=ATOL)
    time = time_embedding(1 - inputs["time"].double(), model.config.action_expert.width)
    suffix = model.embed_suffix(observation.state, outputs["x_t"], time)
    torch.testing.assert_close(suffix, outputs["suffix_embs"], rtol=0, atol=ATOL)
    cache = model.encode(observation)[0]
    for i, kv in enumerate(cache):
        for kind, ours in zip("kv", kv, strict=True):
            torch.testing.assert_close(
                ours * real[:, None], outputs[f"kv_{kind}_{i}"] * real[:, None], rtol=0, atol=ATOL
            )


@recorded
@torch.no_grad()
def test_recorded_velocity():
    model, observation, inputs, outputs = lerobot()
    velocity = model.velocity(observation, outputs["x_t"], 1 - inputs["time"].double())
    torch.testing.assert_close(velocity, -outputs["v_t"], rtol=0, atol=ATOL)
    torch.testing.assert_close(velocity, -outputs["v_t_cached"], rtol=0, atol=ATOL)


@recorded
def test_recorded_loss_and_gradients():
    model, observation, inputs, outputs = lerobot()
    model.zero_grad()
    given = dict(noise=inputs["noise"], tau=1 - inputs["time"].double())
    per_entry = model.loss(observation, inputs["actions"], reduction="none", **given)
    torch.testing.assert_close(per_entry, outputs["loss"], rtol=0, atol=1e-4)
    loss = model.loss(observation, inputs["actions"], **given)
    assert abs(loss.item() - json.loads((FOLDER / "meta.json").read_text())["loss_mean"]) < 1e-4
    loss.backward()
    theirs = {
        layouts.canonical(key): g
        for key, g in load_file(FOLDER / "grads_of_mean_loss.safetensors").items()
    }
    ours = gradients(model)
    for name in (
        ours.keys() - theirs.keys()
    ):  # what LeRobot's loss never reaches, ours does not either
        assert not ours[name].any(), name
    without = json.loads((FOLDER / "meta.json").read_text())["params_without_grad"]
    assert {
        layouts.canonical(key) for key in without
    } - layouts.UNUSED == ours.keys() - theirs.keys()
    assert_gradients_agree({name: ours[name] for name in theirs}, theirs)


@recorded
def test_recorded_actions():
    model, observation, inputs, outputs = lerobot()
    noise = inputs["sample_noise"]
    for steps, name in [(10, "sampled_actions"), (3, "sampled_actions_3steps")]:
        torch.testing.assert_close(
            model.sample_actions(observation, noise=noise, steps=steps),
            outputs[name],
            rtol=0,
            atol=ATOL,
        )
    with torch.no_grad():
        path = flow.euler(
            lambda x, tau: model.velocity(observation, x, tau), noise, steps=10, path=True
        )
    torch.testing.assert_close(path, outputs["euler_path"], rtol=0, atol=ATOL)


# ---------------------------------------------------------------- transformers, live

ONE_PATCH = VisionConfig(image_size=14, patch_size=9, width=16, depth=1, num_heads=2, mlp_dim=24)
CASES = {  # configuration, cameras, tokens
    "one kv head, two cameras": (ref.tiny(heads=4, kv_heads=1), 2, 7),
    "two kv heads, three cameras": (ref.tiny(heads=4, kv_heads=2, depth=2), 3, 9),
    "a kv head per head, one camera, wide actions": (
        ref.tiny(heads=2, kv_heads=2, width=32, action_width=40),
        1,
        5,
    ),
    "three kv heads of six, one layer, one patch": (
        ref.tiny(heads=6, kv_heads=3, depth=1, vision=ONE_PATCH),
        3,
        4,
    ),
}


@cache
def transformers_case(name: str):
    """The model, the reference on the same weights, an observation with padded text and, of several
    cameras, masked ones.
    """
    config, cameras, length = CASES[name]
    model = ref.random_pi0(config, seed=len(name))
    observation = ref.random_observation(
        config, batch=3, cameras=cameras, length=length, seed=len(name)
    )
    observation.token_mask[1, length // 2 :] = False
    observation.token_mask[2, 1:] = False
    if cameras > 1:
        observation.image_mask[1, 0] = False  # the first: those after it must not move up
    if cameras > 2:
        observation.image_mask[2, 1:] = False
    generator = torch.Generator().manual_seed(5)
    actions, noise = torch.randn(2, 3, config.horizon, config.action_dim, generator=generator)
    tau = torch.tensor([0.0, 0.37, 0.93], dtype=torch.float64)
    attention = "eager" if cameras == 2 else "sdpa"
    return (
        model,
        ref.reference_from(model, attention),
        observation,
        ref.reference_inputs(observation, config),
        actions,
        noise,
        tau,
    )


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_velocity_as_in_transformers(name):
    model, reference, observation, inputs, _, noise, tau = transformers_case(name)
    theirs = reference(noise=noise, timestep=1 - tau, **inputs).logits
    ours = model.velocity(observation, noise, tau)
    assert ours.abs().mean() > 0.1  # something to compare
    torch.testing.assert_close(ours, -theirs, rtol=0, atol=ATOL)


@pytest.mark.parametrize("name", CASES)
def test_actions_as_in_transformers(name):
    model, reference, observation, inputs, _, noise, _ = transformers_case(name)
    for steps in (10, 3):
        theirs = reference.sample_actions(noise=noise, num_steps=steps, **inputs)
        torch.testing.assert_close(
            model.sample_actions(observation, noise=noise, steps=steps), theirs, rtol=0, atol=ATOL
        )


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients_as_in_transformers(name):
    model, reference, observation, inputs, actions, noise, tau = transformers_case(name)
    model.zero_grad()
    reference.zero_grad()
    loss = model.loss(observation, actions, noise=noise, tau=tau)
    expected = reference(noise=noise, timestep=1 - tau, actions=actions, **inputs).loss
    assert abs(loss.item() - expected.item()) < 1e-4
    loss.backward()
    expected.backward()
    ours = gradients(model)
    theirs = {
        layouts.canonical(n): torch.zeros_like(p) if p.grad is None else p.grad
        for n, p in reference.named_parameters()
    }
    assert_gradients_agree(ours, {n: g for n, g in theirs.items() if n not in layouts.UNUSED})


@pytest.mark.parametrize("seen", ["images alone", "text alone", "state alone", "no text at all"])
@torch.no_grad()
def test_robots_that_see_or_read_nothing_as_in_transformers(seen):
    config = ref.tiny(kv_heads=2)
    model = ref.random_pi0(config)
    observation = ref.random_observation(config, length=0 if seen == "no text at all" else 5)
    observation.image_mask[:] = seen not in ("text alone", "state alone")
    observation.token_mask[:] = seen == "text alone"
    noise = torch.randn(
        3, config.horizon, config.action_dim, generator=torch.Generator().manual_seed(0)
    )
    tau = torch.tensor([0.0, 0.37, 0.93], dtype=torch.float64)
    theirs = ref.reference_from(model)(
        noise=noise, timestep=1 - tau, **ref.reference_inputs(observation, config)
    ).logits
    torch.testing.assert_close(model.velocity(observation, noise, tau), -theirs, rtol=0, atol=ATOL)


def test_weights_of_transformers_come_in():
    """The other direction: a model that transformers built and saved, read by from_pretrained."""
    config = ref.tiny(kv_heads=2)
    torch.manual_seed(0)
    reference = ref.reference_pi0(config)
    observation = ref.random_observation(config)
    noise = torch.randn(3, config.horizon, config.action_dim)
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        model = Pi0.from_pretrained(folder, config=config)
    theirs = reference.sample_actions(noise=noise, **ref.reference_inputs(observation, config))
    torch.testing.assert_close(
        model.sample_actions(observation, noise=noise), theirs, rtol=0, atol=ATOL
    )


@torch.no_grad()
def test_a_float32_phase_would_cost_accuracy():
    """Why the time embedding is float64: the reference as shipped is off by far more than
    everything else together.
    """
    config = ref.tiny()
    model, observation = ref.random_pi0(config), ref.random_observation(config)
    noise = torch.randn(
        3, config.horizon, config.action_dim, generator=torch.Generator().manual_seed(0)
    )
    tau = torch.tensor([0.125, 0.25, 0.375])  # exact in float32, so that only the phase is not
    inputs = ref.reference_inputs(observation, config)

    def error(float64_time):
        theirs = ref.reference_from(model, float64_time=float64_time)(
            noise=noise, timestep=1 - tau, **inputs
        ).logits
        return (model.velocity(observation, noise, tau) + theirs).abs().max()

    assert error(True) < 2e-6 and error(False) > 10 * error(True)
