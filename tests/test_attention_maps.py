"""What was recorded is what attention used."""

import reference as ref
import torch

from minipi0 import attention_maps, gemma


def recorded(kv_heads=2):
    config = ref.tiny(kv_heads=kv_heads)
    model, observation = ref.random_pi0(config), ref.random_observation(config)
    observation.image_mask[1, 0] = False
    observation.token_mask[2, 3:] = False
    noise = torch.randn(
        3, config.horizon, config.action_dim, generator=torch.Generator().manual_seed(0)
    )
    with attention_maps.record() as maps, torch.no_grad():
        velocity = model.velocity(observation, noise, 0.5)
    return config, model, observation, noise, velocity, maps


def test_maps_come_layer_by_layer_prefix_then_suffix():
    config, _, observation, _, _, maps = recorded()
    p = observation.image_mask.shape[1] * config.vision.tokens + observation.tokens.shape[1]
    s, n, depth = 1 + config.horizon, config.vlm.num_heads, config.vlm.depth
    assert [tuple(m.shape) for m in maps] == [(3, n, p, p)] * (depth - 1) + [
        (3, n, s, p + s)
    ] * depth
    assert all(m.dtype == torch.float32 and not m.requires_grad for m in maps)


def test_weights_sum_to_one_and_are_zero_where_the_mask_says():
    config, _, observation, _, _, maps = recorded()
    n = config.vision.tokens
    p = 2 * n + observation.tokens.shape[1]
    for m in maps[config.vlm.depth - 1 :]:  # the suffix's
        torch.testing.assert_close(m.sum(-1), torch.ones(m.shape[:-1]))
        assert (
            not m[1, :, :, :n].any() and not m[2, :, :, 2 * n + 3 : p].any()
        )  # masked camera, padded text
        assert not m[:, :, 0, p + 1 :].any()  # the state does not see actions
        assert (m[:, :, 1:, p:] > 0).all() and (m[0, :, :, : p + 1] > 0).all()


def test_recording_changes_no_number_and_ends_with_the_block():
    for kv_heads in (1, 2, 4):
        _, model, observation, noise, velocity, maps = recorded(kv_heads)
        count = len(maps)
        with torch.no_grad():
            assert torch.equal(model.velocity(observation, noise, 0.5), velocity)
        assert len(maps) == count


def test_maps_reproduce_the_attention_output(monkeypatch):
    """Weights times values is what `attend` returned."""
    config, model, observation, noise, _, _ = recorded()
    calls = []
    fused = gemma.attend

    def spy(q, k, v, bias):
        calls.append((v, fused(q, k, v, bias)))
        return calls[-1][1]

    monkeypatch.setattr(gemma, "attend", spy)
    with attention_maps.record() as maps, torch.no_grad():
        model.velocity(observation, noise, 0.5)
    assert len(maps) == len(calls) == 2 * config.vlm.depth - 1
    for weights, (values, out) in zip(
        maps[config.vlm.depth - 1 :], calls[config.vlm.depth - 1 :], strict=True
    ):
        values = values.repeat_interleave(weights.shape[1] // values.shape[1], dim=1)
        torch.testing.assert_close(
            (weights @ values).transpose(1, 2).flatten(2), out, rtol=0, atol=1e-5
        )
