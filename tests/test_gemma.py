"""Gemma's parts against their formulas, and the two experts against a naive joint attention."""

import math

import oracle
import pytest
import reference as ref
import torch

from minipi0 import ExpertConfig, attention_maps, gemma
from minipi0.gemma import Layer, RMSNorm, TwoExperts, attend, rotary_table, rotate

B, P, S = 2, 5, 4
SIZES = dict(depth=3, num_heads=4, num_kv_heads=2, head_dim=8)
VLM = ExpertConfig(width=24, mlp_dim=40, **SIZES)
ACTION = ExpertConfig(width=16, mlp_dim=20, **SIZES)


def experts(dtype=torch.float64, vlm=VLM, action=ACTION) -> TwoExperts:
    torch.manual_seed(0)
    model = TwoExperts(vlm, action).to(dtype)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data.normal_(0, 0.3)
    return model


def tokens(dtype=torch.float64):
    """Prefix, suffix, who may look at whom (padding included), positions."""
    generator = torch.Generator().manual_seed(1)
    prefix = torch.randn(B, P, VLM.width, generator=generator, dtype=torch.float64).to(dtype)
    suffix = torch.randn(B, S, ACTION.width, generator=generator, dtype=torch.float64).to(dtype)
    valid = torch.ones(B, P + S, dtype=torch.bool)
    valid[1, 1:3] = False
    block = torch.tensor([0] * P + [1] + [2] * (S - 1))
    allowed = (block[None] <= block[:, None]) & valid[:, None] & valid[:, :, None]
    return prefix, suffix, allowed, valid.cumsum(1) - 1


def run(model: TwoExperts, prefix, suffix, allowed, positions):
    p = prefix.shape[1]
    out, cache = model.prefix(prefix, allowed[:, :p, :p], positions[:, :p], output=True)
    table = rotary_table(positions[:, p:], model.head_dim)
    return out, model.suffix(suffix, allowed[:, p:], table, cache)


# ---------------------------------------------------------------- the two experts


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@torch.no_grad()
def test_two_calls_equal_one_joint_attention(kv_heads, monkeypatch):
    monkeypatch.setitem(SIZES, "num_kv_heads", kv_heads)
    vlm, action = (ExpertConfig(width=c.width, mlp_dim=c.mlp_dim, **SIZES) for c in (VLM, ACTION))
    inputs = tokens()
    real = torch.diagonal(inputs[2], dim1=1, dim2=2)
    for dtype, tolerance in [(torch.float64, 1e-10), (torch.float32, 1e-5)]:
        model = experts(torch.float64, vlm, action)
        expected = oracle.experts(model, vlm, *inputs)
        got = run(model.to(dtype), *(x.to(dtype) for x in inputs[:2]), *inputs[2:])
        for ours, naive, valid in zip(got, expected, (real[:, :P], real[:, P:]), strict=True):
            assert ours.dtype == dtype
            torch.testing.assert_close(ours[valid].double(), naive[valid], rtol=0, atol=tolerance)


@torch.no_grad()
def test_the_last_layers_prefix_output_is_computed_only_on_request(monkeypatch):
    model, (prefix, _, allowed, positions) = experts(), tokens()
    asked, cache = model.prefix(prefix, allowed[:, :P, :P], positions[:, :P], output=True)
    finished = []
    monkeypatch.setattr(
        Layer,
        "finish",
        lambda self, x, attended, finish=Layer.finish: (
            finished.append(1) or finish(self, x, attended)
        ),
    )
    nothing, same = model.prefix(prefix, allowed[:, :P, :P], positions[:, :P])
    assert asked.shape == prefix.shape and nothing is None and len(finished) == VLM.depth - 1
    for (k, v), (other_k, other_v) in zip(cache, same, strict=True):
        assert k.shape == v.shape == (B, VLM.num_kv_heads, P, VLM.head_dim)
        torch.testing.assert_close(k, other_k, rtol=0, atol=1e-12)
        torch.testing.assert_close(v, other_v, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_cache_does_not_grow():
    model, (prefix, suffix, allowed, positions) = experts(), tokens()
    _, cache = model.prefix(prefix, allowed[:, :P, :P], positions[:, :P])
    before = [(k.clone(), v.clone()) for k, v in cache]
    table = rotary_table(positions[:, P:], model.head_dim)
    first, second = (model.suffix(suffix, allowed[:, P:], table, cache) for _ in range(2))
    assert torch.equal(first, second) and len(cache) == VLM.depth
    assert all(
        torch.equal(a, b)
        for pair, old in zip(cache, before, strict=True)
        for a, b in zip(pair, old, strict=True)
    )


def test_activation_checkpointing_changes_no_gradient():
    model, inputs = experts(), tokens()
    gradients = []
    for model.checkpointing in (False, True):
        model.zero_grad()
        sum(x.sin().sum() for x in run(model, *inputs)).backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    assert all(g.any() for g in gradients[0])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


def test_experts_that_cannot_attend_jointly_are_refused():
    for name, value in dict(depth=2, num_heads=8, num_kv_heads=4, head_dim=16).items():
        other = ExpertConfig(width=16, mlp_dim=20, **(SIZES | {name: value}))
        unequal = f"{name} is {SIZES[name]} in the VLM and {value} in the action expert"
        with pytest.raises(ValueError, match=f"attend jointly, but {unequal}"):
            TwoExperts(VLM, other)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(num_kv_heads=3), "4 heads cannot share 3 kv heads evenly"),
        (dict(head_dim=7), "must be even"),
        (dict(width=15), "must be even"),
        (dict(depth=0), "ExpertConfig.depth must be a positive integer, not 0"),
        (dict(mlp_dim=2.0), "mlp_dim must be a positive integer"),
        (dict(num_heads=-4), "num_heads"),
        (dict(width="16"), "width"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ExpertConfig(**(dict(width=16, mlp_dim=20, **SIZES) | change))


# ---------------------------------------------------------------- the parts


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_rms_norm_scales_by_one_plus_weight(dtype):
    norm = RMSNorm(6).to(dtype)
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).to(dtype) * 50
    assert norm(x).dtype == dtype
    assert norm(x).double().pow(2).mean(-1).sub(1).abs().max() < (
        1e-2 if dtype == torch.bfloat16 else 1e-5
    )
    norm.weight.data.fill_(-1)
    assert not norm(x).any()
    norm.weight.data.zero_()
    assert norm(torch.zeros(1, 6, dtype=dtype)).eq(0).all()  # epsilon: no 0 / 0


def test_rotary_turns_pairs_by_position():
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, rotary_table(torch.tensor([[0, 1, 100]]), 4))
    torch.testing.assert_close(turned[:, :, 0], x[:, :, 0])  # position 0: not at all
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-6, atol=0)
    a, b = (
        x[0, 0, 2, 0],
        x[0, 0, 2, 2],
    )  # the first pair is (x_0, x_{E/2}) and turns by the position itself, in radians
    c, s = math.cos(100), math.sin(100)
    torch.testing.assert_close(
        turned[0, 0, 2, [0, 2]], torch.stack([a * c - b * s, b * c + a * s]), rtol=0, atol=1e-5
    )
    a, b = x[0, 0, 2, 1], x[0, 0, 2, 3]  # the second turns 10000^(-1/2) as fast
    c, s = math.cos(1.0), math.sin(1.0)
    torch.testing.assert_close(
        turned[0, 0, 2, [1, 3]], torch.stack([a * c - b * s, b * c + a * s]), rtol=0, atol=1e-5
    )


def test_rotary_scores_depend_on_the_distance_only():
    q, k = torch.randn(
        2, 1, 1, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )

    def score(i, j):
        return (
            rotate(q, rotary_table(torch.tensor([[i]]), 8))
            * rotate(k, rotary_table(torch.tensor([[j]]), 8))
        ).sum()

    torch.testing.assert_close(score(3, 7), score(13, 17), rtol=0, atol=1e-5)
    assert abs(score(3, 7) - score(7, 3)) > 1e-3


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_query_heads_share_kv_heads_in_groups(kv_heads):
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(B, 4, 3, 8, generator=generator)
    k, v = torch.randn(2, B, kv_heads, 6, 8, generator=generator)
    allowed = torch.rand(B, 3, 6, generator=generator) < 0.7
    allowed[..., 0] = True
    got = attend(q, k, v, allowed).unflatten(-1, (4, 8))
    for head in range(4):
        group = head // (4 // kv_heads)
        scores = (q[:, head] @ k[:, group].mT / math.sqrt(8)).masked_fill(~allowed, -math.inf)
        torch.testing.assert_close(got[:, :, head], scores.softmax(-1) @ v[:, group])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_forbidden_key_counts_exactly_nothing_and_an_empty_row_is_finite(dtype):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 1, 3, 8, generator=generator).to(dtype) for _ in range(3))
    allowed = torch.tensor([[[True, True, False], [True, True, False], [False, False, False]]])
    before = attend(q, k, v, allowed)
    k[:, :, 2], v[:, :, 2] = 30.0, 1000.0
    after = attend(q, k, v, allowed)
    assert torch.equal(before[:, :2], after[:, :2]) and not after[:, 2].any()
    q.requires_grad_(True)
    attend(q, k, v, allowed).float().square().sum().backward()
    assert q.grad.isfinite().all() and q.grad[:, :, :2].any() and not q.grad[:, :, 2].any()


# ---------------------------------------------------------------- small enough to fit the docstring


def test_keys_and_values_alone_are_those_of_the_full_projection():
    layer = experts().vlm.layers[0]
    prefix, _, _, positions = tokens()
    table = rotary_table(positions[:, :P], VLM.head_dim)
    _, k, v = layer.project(prefix, table)
    only_k, only_v = layer.project_kv(prefix, table)
    torch.testing.assert_close(only_k, k)
    torch.testing.assert_close(only_v, v)


def test_recording_maps_does_not_disturb():
    """tests/test_attention_maps.py looks at the maps; here: the patch is undone, also after an
    error.
    """
    fused = gemma.attend
    with pytest.raises(KeyError), attention_maps.record():
        raise KeyError
    assert gemma.attend is fused


def test_reference_helpers_leave_no_trivial_parameter():
    model = ref.random_pi0(ref.tiny())
    for name, parameter in model.named_parameters():
        assert parameter.std() > 0.01, name
