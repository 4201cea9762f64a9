"""A part of a model is trained: frozen weights, adapters, mixed dtypes, and what is kept of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from synthetic import TINY, Chunks, tiny

from minipi0 import Pi0, Pi0Config, train
from minipi0.baselines import Regression
from minipi0.checkpoint import plain_parameters, run
from minipi0.train import Recipe, count, fit, tuning

RECIPE = Recipe(steps=4, batch_size=8, warmup=0, learning_rate=1e-2)


def weights(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changed(before: dict, model) -> set[str]:
    """Which parts of the model have other weights than before: the first word of their names."""
    now = weights(model)
    return {
        ".".join(name.split(".")[: 2 if name.startswith("experts") else 1])
        for name in before
        if not torch.equal(before[name].float(), now[name].float())
    }


PROJECTIONS = {
    *("state_proj", "action_in_proj", "action_out_proj", "action_time_mlp_in"),
    "action_time_mlp_out",
}


@pytest.mark.parametrize(
    ("frozen", "trains"),
    [
        ("vlm", {"experts.action"} | PROJECTIONS),
        ("vision", {"projector", "embedding", "experts.vlm", "experts.action"} | PROJECTIONS),
        ("expert", {"vision", "projector", "embedding", "experts.vlm"}),
        (["vision", "expert"], {"projector", "embedding", "experts.vlm"}),
    ],
)
def test_what_is_frozen_stays(frozen, trains):
    model = tiny()
    before = weights(model)
    fit(model, Chunks(), recipe=RECIPE, freeze=frozen, progress=False)
    assert changed(before, model) == trains


def test_parts_that_cannot_be_frozen():
    with pytest.raises(ValueError, match="among vision, vlm, expert, not .*'wheels'"):
        fit(tiny(), Chunks(), steps=1, freeze="wheels", progress=False)
    with pytest.raises(ValueError, match="nothing is left to train"):
        tuning.freeze(tiny(), "vlm", "expert")
    model = tiny().requires_grad_(False)
    with pytest.raises(ValueError, match="every weight of the model is frozen"):
        fit(model, Chunks(), steps=1, progress=False)


@pytest.mark.parametrize("frozen", ["vlm", "vision", "expert"])
@pytest.mark.parametrize("bf16", [False, True])
def test_bf16_beside_float32_trains_and_samples(frozen, bf16):
    """Exercise 12.1's set-up and its neighbours: every border between the dtypes is crossed."""
    model = tiny()
    tuning.freeze(model, frozen, dtype=torch.bfloat16)
    dtypes = {p.requires_grad: p.dtype for p in model.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}
    exact = fit(tiny(), Chunks(), recipe=RECIPE, freeze=frozen, progress=False)
    rough = fit(model, Chunks(), recipe=RECIPE, bf16=bf16, progress=False)
    assert exact == pytest.approx(rough, rel=0.05)
    assert {p.requires_grad: p.dtype for p in model.parameters()} == dtypes
    seen = Chunks().batch([0, 1])[0]
    assert model.sample_actions(seen).dtype == torch.float32


def test_the_set_up_by_hand():
    """A model in bf16, its expert in float32, the rest frozen: without any helper."""
    model = tiny().bfloat16().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if not name.startswith(tuning.PARTS["vlm"]):
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    before = weights(model)
    fit(model, Chunks(), recipe=RECIPE, progress=False)
    assert changed(before, model) == {"experts.action"} | PROJECTIONS
    model.sample_actions(Chunks().batch([0])[0])


def test_a_model_loaded_in_bf16_trains_its_expert_in_float32():
    model = tiny().bfloat16()
    fit(model, Chunks(), recipe=RECIPE, freeze="vlm", progress=False)
    assert model.state_proj.weight.dtype == torch.float32
    assert model.embedding.weight.dtype == torch.bfloat16


# ---------------------------------------------------------------- adapters


def test_adapters_begin_at_nothing_and_learn(tmp_path):
    model, plain = tiny(), tiny()
    tuning.lora(model, rank=3)
    chunks = Chunks()
    observation, actions, mask = chunks.batch(range(16))
    given = dict(noise=torch.zeros_like(actions), tau=torch.full((16,), 0.3), action_mask=mask)
    at_first = [one.loss(observation, actions, **given) for one in (model, plain)]
    assert torch.equal(*at_first)
    recipe = Recipe(steps=80, batch_size=16)
    losses = fit(model, chunks, recipe=recipe, out=tmp_path, progress=False)
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    # files know no adapter: the sum is written, under the usual names
    loaded = Pi0.from_pretrained(tmp_path)
    assert dict(loaded.named_parameters()).keys() == dict(plain.named_parameters()).keys()
    moved = {n for n, p in loaded.named_parameters() if not torch.equal(p, plain.get_parameter(n))}
    assert {n for n in moved if n.startswith("experts.vlm.layers.0")} == {
        f"experts.vlm.layers.0.{part}.weight"
        for part in ("qkv", "attention_out", "gate", "up", "down")
    }
    noise = torch.randn(16, 4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        loaded.sample_actions(observation, noise=noise),
        model.sample_actions(observation, noise=noise),
        rtol=0,
        atol=1e-5,
    )


def test_the_last_layers_keys_see_their_adapter():
    """Of that layer only keys and values are computed, and these by a shorter path."""
    model = tiny()
    tuning.lora(model, rank=2)
    observation, actions, mask = Chunks().batch(range(4))
    model.loss(observation, actions, action_mask=mask).backward()
    last = model.experts.vlm.layers[-1].qkv
    assert last.lora_B["default"].weight.grad.any()


def test_only_what_is_trained_is_averaged_and_stored(tmp_path):
    model = tiny()
    tuning.lora(model, rank=2, dtype=torch.bfloat16)
    names = set(tuning.trained(model))
    assert all("lora_" in name or name.split(".")[0] in PROJECTIONS for name in names)
    fit(model, Chunks(), recipe=RECIPE, out=tmp_path, progress=False)
    with safe_open(tmp_path / run.STATE, framework="pt") as file:
        kept = set(file.keys())
    for kind in ("model", "average", "exp_avg"):
        found = {key.removeprefix(f"{kind}.") for key in kept if key.startswith(f"{kind}.")}
        assert found <= names and len(found) > 10, kind
    assert set(tuning.Average(tuning.trained(model), 0.9).values) == names


@pytest.mark.parametrize("how", ["freeze", "lora"])
def test_such_a_run_resumes_bit_for_bit(tmp_path, how):
    def part():
        model = tiny()
        if how == "freeze":
            tuning.freeze(model, "vlm", dtype=torch.bfloat16)
        else:
            torch.manual_seed(5)
            tuning.lora(model, rank=2, dtype=torch.bfloat16)
        return model

    whole, resumed = part(), part()
    losses = fit(whole, Chunks(), recipe=RECIPE, progress=False)
    with pytest.raises(KeyboardInterrupt):
        options = dict(out=tmp_path, save_every=2, progress=False)
        fit(part(), Chunks(fail_at=4), recipe=RECIPE, **options)
    again = fit(resumed, Chunks(), recipe=RECIPE, out=tmp_path, resume=True, progress=False)
    assert again == losses and not changed(weights(whole), resumed)
    other = part()
    other.embedding.weight.data += 1
    with pytest.raises(ValueError, match="beside other frozen weights"):
        fit(other, Chunks(), recipe=RECIPE, out=tmp_path, resume=True, progress=False)
    with pytest.raises(ValueError, match="beside other frozen weights"):
        fit(tiny(), Chunks(), recipe=RECIPE, out=tmp_path, resume=True, progress=False)


def test_folded_weights_are_the_models_own_elsewhere():
    model = tiny()
    assert plain_parameters(model).keys() == dict(model.named_parameters()).keys()
    assert plain_parameters(model)["embedding.weight"] is model.embedding.weight


def test_adapters_that_cannot_be():
    model = tiny()
    for options, message in (
        (dict(rank=0), "a rank of at least 1, not 0"),
        (dict(targets="wheels"), "no layer is called 'wheels'"),
    ):
        with pytest.raises(ValueError, match=message):
            tuning.lora(model, **options)
    fit(model, Chunks(), recipe=RECIPE, lora=2, progress=False)
    with pytest.raises(ValueError, match="has adapters already"):
        tuning.lora(model)
    with pytest.raises(ValueError, match="give freeze= or lora="):
        fit(tiny(), Chunks(), recipe=RECIPE, freeze="vlm", lora=2)
    fit(model, Chunks(), recipe=RECIPE, progress=False)  # goes on with those it has


def test_a_regression_takes_adapters_too():
    model = Regression(TINY)
    losses = fit(model, Chunks(), recipe=RECIPE, lora=2, progress=False)
    assert len(losses) == 4


# ---------------------------------------------------------------- memory


def full(change) -> str:
    with torch.device("meta"):
        model = Pi0(Pi0Config.full())
    change(model)
    return model


def test_full_size_on_one_card_of_24_gb():
    """Counted on the meta device: three cameras, batches computed in parts of four chunks."""
    everything = count(full(lambda model: None), batch_size=1, cameras=3)
    assert everything.weights == 4 * 3_238_048_528 and everything.total > 64e9
    expert = full(lambda model: tuning.freeze(model, "vlm", dtype=torch.bfloat16))
    found = count(expert, batch_size=4, cameras=3)
    without = found.total - found.activations
    assert without == 2 * (3_238_048_528 - 314_713_120) + 20 * 314_713_120  # exercise 12.1
    assert found.total < 16e9
    adapters = full(lambda model: tuning.lora(model, rank=16, dtype=torch.bfloat16))
    assert count(adapters, batch_size=4, cameras=3).total < 24e9
    adapters.experts.checkpointing = True
    assert count(adapters, batch_size=16, cameras=3).total < 16e9


MEASURED = """if True:
    import gc, resource, torch
    from dataclasses import replace
    from minipi0 import Pi0, Pi0Config, Observation
    from minipi0.train import count, tuning
    def now():
        gc.collect()
        return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
    torch.manual_seed(0)
    config, B = Pi0Config.mini(), 16
    model = Pi0(replace(config, vlm=replace(config.vlm, width=256, mlp_dim=1024)))
    actions, yes = torch.zeros(B, 16, 7), torch.ones(B, 48, dtype=torch.bool)
    seen = Observation(torch.zeros(B, 2, 3, 64, 64), yes[:, :2], yes.long(), yes, actions[:, 0, :6])
    for frozen in (False, True):
        if frozen:
            tuning.freeze(model, "vlm", dtype=torch.bfloat16)
        count(model, 2, cameras=2)  # torch loads what it needs
        counted, before = count(model, B, cameras=2), now()
        loss = model.loss(seen, actions)
        print(counted.activations, now() - before)
        del loss
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_the_count_is_what_a_small_run_keeps():
    """The process's memory after a forward pass, less that of before, beside the count."""
    returned = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(  # glibc gives freed memory back at once
        [sys.executable, "-c", MEASURED],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | returned,
    )
    for line in done.stdout.splitlines():  # all of it trained; a frozen VLM
        counted, kept = map(int, line.split())
        assert counted > 8e6 and kept == pytest.approx(counted, rel=0.15), done.stdout


# ---------------------------------------------------------------- from the command line


def test_command_line_freezes_and_adapts(tmp_path):
    torch.manual_seed(3)
    Pi0(Pi0Config.mini(6, 5, horizon=6)).save_pretrained(tmp_path / "start")
    line = "--data metaworld-two-ways --steps 2 --batch-size 4 --device cpu --test-every 0"
    line += f" --cameras none front --start {tmp_path}/start --grad-accumulation 2"
    start = Pi0.from_pretrained(tmp_path / "start")
    for name, option in (("freeze", "--freeze vlm"), ("lora", "--lora 2 --horizon 3 --augment")):
        train.main(f"{line} {option} --out {tmp_path}/{name}".split())
        model = Pi0.from_pretrained(tmp_path / name)
        assert model.config.action_dim == 6 and model.stats["action_mean"].shape == (4,)
        assert model.about["cameras"][0] is None
        assert model.config.horizon == (6 if name == "freeze" else 3)
        same = torch.equal(model.embedding.weight, start.embedding.weight.bfloat16().float())
        assert same, "frozen in bf16"
        assert not torch.equal(model.state_proj.weight, start.state_proj.weight)
    with pytest.raises(SystemExit):
        train.main(f"{line} --freeze vlm --lora 2 --out {tmp_path}/both".split())
