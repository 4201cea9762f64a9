"""compiled: which settings torch.compile is given, and that frozen weights are never stale without
a word.
"""

import copy
import pickle
import shutil

import pytest
import reference as ref
import torch
from torch import nn

from minipi0 import ExpertConfig
from minipi0.compiled import compiled


@pytest.fixture
def calls(monkeypatch):
    """What torch.compile was asked; the functions themselves stay eager."""
    seen = []

    def fake(function, **options):
        seen.append(options)
        return function

    monkeypatch.setattr(torch, "compile", fake)
    return seen


def test_the_settings_are_ours_unless_a_mode_or_a_backend_is_named(calls):
    layer = nn.Linear(2, 2)
    assert compiled(layer.forward, layer)(torch.ones(1, 2)).shape == (1, 2)
    compiled(
        layer.forward, layer, dynamic=False, options={"freezing": True, "epilogue_fusion": True}
    )
    compiled(layer.forward, layer, mode="reduce-overhead")
    compiled(layer.forward, layer, backend="eager")
    ours, mixed, mode, backend = calls
    assert ours == {"options": {"cpp.use_decompose_tanh": True, "freezing": False}}
    assert mixed == {
        "dynamic": False,
        "options": {"cpp.use_decompose_tanh": True, "freezing": True, "epilogue_fusion": True},
    }
    assert mode == {"mode": "reduce-overhead"} and backend == {"backend": "eager"}


def test_frozen_weights_do_not_train_and_may_not_change(calls):
    model = ref.random_pi0(ref.tiny())
    observation, noise = (
        ref.random_observation(model.config),
        torch.randn(3, model.config.horizon, model.config.action_dim),
    )
    model.compile(frozen=True)
    assert len(calls) == 2 and all(
        call["options"]["freezing"] for call in calls
    )  # encode and decode
    assert not any(parameter.requires_grad for parameter in model.parameters())
    model.sample_actions(observation, noise=noise)
    with torch.no_grad():
        model.action_out_proj.bias += 1
    with pytest.raises(RuntimeError, match="weights have changed since compile.frozen=True"):
        model.sample_actions(observation, noise=noise)
    model.compile(frozen=True)
    assert model.sample_actions(observation, noise=noise).isfinite().all()
    model.load_state_dict(copy.deepcopy(model).state_dict())
    with pytest.raises(RuntimeError, match="weights have changed"):
        model.sample_actions(observation, noise=noise)
    model.compile()  # not frozen: they may
    model.to(torch.float64)
    assert model.sample_actions(observation, noise=noise).isfinite().all()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_copy_is_not_compiled_and_runs_its_own_weights(copied, frozen, calls):
    model = ref.random_pi0(ref.tiny())
    observation, noise = (
        ref.random_observation(model.config),
        torch.randn(3, model.config.horizon, model.config.action_dim),
    )
    model.compile(frozen)
    before = model.sample_actions(observation, noise=noise)
    twin = copied(model)
    assert torch.equal(twin.sample_actions(observation, noise=noise), before)
    twin.action_out_proj = nn.Linear(32, 5)
    assert not torch.allclose(twin.sample_actions(observation, noise=noise), before)


def test_frozen_moves_are_noticed(calls):
    layer = nn.Linear(2, 2)
    run = compiled(layer.forward, layer, frozen=True)
    layer.to(torch.float64)
    with pytest.raises(RuntimeError, match="weights have changed"):
        run(torch.ones(1, 2, dtype=torch.float64))


def test_frozen_refuses_a_mode_and_a_backend():
    layer = nn.Linear(2, 2)
    for options in (dict(mode="max-autotune"), dict(backend="eager")):
        with pytest.raises(ValueError, match="frozen=True is for the default backend and mode"):
            compiled(layer.forward, layer, frozen=True, **options)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_frozen_samples_are_the_eager_ones():
    shared = dict(depth=1, num_heads=2, num_kv_heads=1, head_dim=32)
    vlm, expert = (
        ExpertConfig(width=64, mlp_dim=128, **shared),
        ExpertConfig(width=32, mlp_dim=64, **shared),
    )
    model = ref.random_pi0(ref.tiny(vlm=vlm, action_expert=expert))
    observation, noise = (
        ref.random_observation(model.config),
        torch.randn(3, model.config.horizon, model.config.action_dim),
    )
    for _ in range(
        2
    ):  # the second time with other weights, in the same tensors: no former graph may be used again
        eager = model.sample_actions(observation, noise=noise)
        model.compile(frozen=True)
        torch.testing.assert_close(
            model.sample_actions(observation, noise=noise), eager, rtol=0, atol=2e-5
        )
        for name in ("encode", "decode"):
            delattr(model, name)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 1.1
