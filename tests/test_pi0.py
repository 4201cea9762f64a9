"""The model against a naive implementation, who may look at whom, masked content, sizes, errors.

Parity: test_parity.py.
"""

from dataclasses import replace

import oracle
import pytest
import reference as ref
import torch

from minipi0 import ExpertConfig, Observation, Pi0, Pi0Config, VisionConfig, flow, gemma
from minipi0.pi0 import block_mask, time_embedding

CONFIGS = {
    "one kv head": ref.tiny(),
    "two kv heads, wide actions": ref.tiny(kv_heads=2, width=32, action_width=40),
    "one layer, a kv head per head": ref.tiny(heads=3, kv_heads=3, depth=1),
}


def case(config: Pi0Config = CONFIGS["one kv head"], cameras: int = 2, seed: int = 0):
    """Model, observation with a camera masked for one item and padding that differs between items,
    noise, tau.
    """
    model = ref.random_pi0(config, seed)
    observation = ref.random_observation(config, batch=3, cameras=cameras, length=6, seed=seed)
    observation.token_mask[1, 2:] = False
    if cameras:
        observation.image_mask[1, 0] = False
    generator = torch.Generator().manual_seed(seed)
    return (
        model,
        observation,
        torch.randn(3, config.horizon, config.action_dim, generator=generator),
    )


def double(observation: Observation) -> Observation:
    return replace(
        observation, images=observation.images.double(), state=observation.state.double()
    )


def gradients(
    model: Pi0, observation: Observation, actions: torch.Tensor
) -> dict[str, torch.Tensor]:
    model.zero_grad()
    noise = torch.linspace(-2, 2, actions.numel()).view_as(actions)
    model.loss(observation, actions, noise=noise, tau=torch.tensor([0.1, 0.5, 0.9])).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


# ---------------------------------------------------------------- the whole model


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("cameras", [0, 1, 3])
@torch.no_grad()
def test_velocity_and_actions_equal_the_naive_model(name, cameras):
    """The oracle cuts padding and masked cameras out of the sequence: with them in place, masks and
    positions must amount to the same.
    """
    model, observation, noise = case(CONFIGS[name], cameras)
    velocity, actions = (
        model.velocity(observation, noise, 0.3),
        model.sample_actions(observation, noise=noise, steps=4),
    )
    model.double()
    expected, sampled = (
        f(model, double(observation), noise.double(), x)
        for f, x in ((oracle.velocity, 0.3), (oracle.sample, 4))
    )
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(velocity.double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(actions.double(), sampled, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        model.velocity(double(observation), noise.double(), 0.3), expected, rtol=0, atol=1e-10
    )
    torch.testing.assert_close(
        model.sample_actions(double(observation), noise=noise.double(), steps=4),
        sampled,
        rtol=0,
        atol=1e-10,
    )


def test_gradients_equal_the_naive_models():
    model, observation, noise = case()
    model.double()
    observation, noise = double(observation), noise.double()
    model.velocity(observation, noise, 0.7).sin().sum().backward()
    ours = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    oracle.velocity(model, observation, noise, 0.7).sin().sum().backward()
    for name, parameter in model.named_parameters():
        if (
            ours[name] is None
            # nothing after the last layer's keys and values is computed for the prefix: no gradient
            # there
        ):
            assert name.startswith(("experts.vlm.layers.2.", "experts.vlm.norm")), name
            assert parameter.grad is None or not parameter.grad.any(), name
        else:
            torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-7, atol=1e-9)
    without = {name.removeprefix("experts.vlm.") for name in ours if ours[name] is None}
    assert without == {"norm.weight"} | {
        f"layers.2.{part}.weight" for part in ("attention_out", "mlp_norm", "gate", "up", "down")
    }


@torch.no_grad()
def test_bfloat16_is_close_and_keeps_the_actions_dtype():
    model, observation, noise = case()
    exact = model.velocity(observation, noise, 0.4)
    model.bfloat16()
    rough = model.velocity(observation, noise, 0.4)
    assert rough.dtype == torch.float32 and (rough - exact).norm() < 0.05 * exact.norm()
    assert model.velocity(observation, noise.bfloat16(), 0.4).dtype == torch.bfloat16
    actions = model.sample_actions(observation, steps=2)
    assert actions.dtype == torch.float32 and actions.isfinite().all()


def test_activation_checkpointing_gives_the_same_gradients():
    model, observation, actions = case()
    plain = gradients(model, observation, actions)
    model.experts.checkpointing = True
    again = gradients(model, observation, actions)
    assert plain.keys() == again.keys() and all(
        torch.equal(plain[name], again[name]) for name in plain
    )


@torch.no_grad()
def test_the_prefix_is_computed_once_whatever_the_number_of_steps(monkeypatch):
    model, observation, noise = case()
    calls = []
    for owner, name in ((gemma.TwoExperts, "prefix"), (gemma.TwoExperts, "suffix")):
        method = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *args, method=method, name=name: calls.append(name) or method(*args)
        )
    cached = model.sample_actions(observation, noise=noise, steps=7)
    assert calls == ["prefix"] + ["suffix"] * 7
    naive = flow.euler(lambda x, tau: model.velocity(observation, x, tau), noise, steps=7)
    assert calls.count("prefix") == 8
    torch.testing.assert_close(cached, naive, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- who may look at whom


def test_blocks_from_a_cumulative_sum():
    """Two prefix tokens (one of them padding for the second item), the state, three actions."""
    starts = torch.tensor([0, 0, 1, 1, 0, 0]).bool()
    valid = torch.ones(2, 6, dtype=torch.bool)
    valid[1, 1] = False
    first, second = block_mask(starts, valid).int().tolist()
    assert first == [[1, 1, 0, 0, 0, 0]] * 2 + [[1, 1, 1, 0, 0, 0]] + [[1, 1, 1, 1, 1, 1]] * 3
    assert second == [[1, 0, 0, 0, 0, 0], [0] * 6, [1, 0, 1, 0, 0, 0]] + [[1, 0, 1, 1, 1, 1]] * 3


def test_actions_see_later_actions():
    """[1] + [0] * (H - 1): the first action *starts* a block to which all of them belong."""
    model, observation, noise = case()
    noise.requires_grad_()
    for i in range(model.config.horizon):
        (gradient,) = torch.autograd.grad(
            model.velocity(observation, noise, 0.5)[0, i].sum(), noise
        )
        assert (gradient[0].abs().amax(-1) > 1e-6).all(), (
            f"action {i} does not see {gradient[0].abs().amax(-1)}"
        )
        assert not gradient[1:].any()  # and never another item of the batch


@torch.no_grad()
def test_who_influences_whom():
    """Suffix outputs of the expert, state row first; prefix outputs on request.

    Exactly equal where the mask forbids.
    """
    model, observation, noise = case()
    p = 2 * model.config.vision.tokens + 6

    def outputs(observation, noise):
        prefix, valid = model.embed_prefix(observation)
        starts = torch.zeros(p + 7, dtype=torch.bool)
        starts[p : p + 2] = True
        valid = torch.cat([valid, torch.ones(3, 7, dtype=torch.bool)], dim=1)
        allowed, positions = block_mask(starts, valid), valid.cumsum(1) - 1
        out, _ = model.experts.prefix(prefix, allowed[:, :p, :p], positions[:, :p], output=True)
        encoded = model.encode(observation)
        suffix = model.embed_suffix(
            observation.state,
            noise,
            time_embedding(torch.tensor([0.5]), model.config.action_expert.width),
        )
        suffix = model.experts.suffix(suffix, encoded.mask, encoded.table, encoded.cache)
        return out[0], suffix[0, :1], suffix[0, 1:]

    def changed(other, other_noise=noise):
        before, after = outputs(observation, noise), outputs(other, other_noise)
        return [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]

    tokens = observation.tokens.clone()
    tokens[0, 5] = (tokens[0, 5] + 1) % model.config.vocab_size
    images = observation.images.clone()
    images[0, 1] *= -1
    assert changed(replace(observation, tokens=tokens)) == [True, True, True]
    assert changed(replace(observation, images=images)) == [True, True, True]
    assert changed(replace(observation, state=observation.state + 1)) == [False, True, True]
    assert changed(observation, noise + 1) == [False, False, True]


def test_positions_skip_padding():
    """Padding at the end of the text, or none: the suffix continues the prefix either way, and text
    of any padded length is the same.
    """
    model, observation, noise = case()
    observation.token_mask[:, 3:] = False
    short = replace(
        observation, tokens=observation.tokens[:, :3], token_mask=observation.token_mask[:, :3]
    )
    with torch.no_grad():
        torch.testing.assert_close(
            model.velocity(observation, noise, 0.5),
            model.velocity(short, noise, 0.5),
            rtol=0,
            atol=1e-6,
        )


@torch.no_grad()
def test_language_is_scaled_once_and_images_not_at_all():
    model, observation, _ = case(cameras=1)
    observation.image_mask[:] = True
    prefix, _ = model.embed_prefix(observation)
    n = model.config.vision.tokens
    torch.testing.assert_close(
        prefix[:, :n], model.projector(model.vision(observation.images[:, 0]).last_hidden_state)
    )
    torch.testing.assert_close(
        prefix[0, n:], model.embedding.weight[observation.tokens[0]] * model.config.vlm.width**0.5
    )


# ---------------------------------------------------------------- masked cameras and padded tokens


@pytest.mark.parametrize("garbage", [0.0, 1e30, float("inf"), float("nan")])
def test_what_is_masked_has_no_influence(garbage):
    model, observation, actions = case()
    dirty = replace(
        observation, images=observation.images.clone(), tokens=observation.tokens.clone()
    )
    dirty.images[1, 0] = garbage
    dirty.tokens[1, 2:] = model.config.vocab_size - 1
    with torch.no_grad():
        assert torch.equal(
            model.velocity(observation, actions, 0.5), model.velocity(dirty, actions, 0.5)
        )
        assert torch.equal(
            model.sample_actions(observation, noise=actions),
            model.sample_actions(dirty, noise=actions),
        )
    clean, other = gradients(model, observation, actions), gradients(model, dirty, actions)
    assert clean.keys() == other.keys()
    for name in clean:
        assert clean[name].isfinite().all() and torch.equal(clean[name], other[name]), name


@torch.no_grad()
def test_not_even_the_padding_words_embedding_matters():
    """0 times NaN is NaN: a weight of zero alone would not keep it out."""
    model, observation, noise = case()
    observation.tokens[:] = observation.tokens.clamp(min=1)
    observation.tokens[1, 2:] = 0
    velocity = model.velocity(observation, noise, 0.5)
    model.embedding.weight[0] = float("nan")
    assert torch.equal(model.velocity(observation, noise, 0.5), velocity)


@torch.no_grad()
def test_everything_masked_still_acts_on_the_state():
    model, observation, noise = case()
    observation.image_mask[:], observation.token_mask[:] = False, False
    velocity = model.velocity(observation, noise, 0.5)
    assert velocity.isfinite().all()
    assert not torch.equal(
        velocity, model.velocity(replace(observation, state=observation.state + 1), noise, 0.5)
    )


@torch.no_grad()
def test_a_camera_masked_for_one_item_leaves_the_others_alone():
    model, observation, noise = case()
    both = replace(observation, image_mask=torch.ones_like(observation.image_mask))
    masked, seen = model.velocity(observation, noise, 0.5), model.velocity(both, noise, 0.5)
    torch.testing.assert_close(masked[[0, 2]], seen[[0, 2]], rtol=0, atol=1e-6)
    assert (masked[1] - seen[1]).abs().max() > 1e-3


@torch.no_grad()
def test_items_of_a_batch_do_not_mix():
    model, observation, noise = case()
    tau, order = torch.tensor([0.1, 0.5, 0.9]), [2, 0, 1]
    velocity = model.velocity(observation, noise, tau)
    torch.testing.assert_close(
        model.velocity(observation[order], noise[order], tau[order]),
        velocity[order],
        rtol=0,
        atol=1e-6,
    )
    for i in range(3):
        torch.testing.assert_close(
            model.velocity(observation[[i]], noise[[i]], tau[i]), velocity[[i]], rtol=0, atol=1e-6
        )


def test_padded_actions_do_not_count_in_the_loss():
    model, observation, actions = case()
    mask = torch.ones(3, 6, dtype=torch.bool)
    mask[0, 2:] = False
    given = dict(noise=torch.zeros_like(actions), tau=torch.tensor([0.2, 0.4, 0.6]))
    per_entry = model.loss(observation, actions, reduction="none", **given)
    masked = model.loss(observation, actions, action_mask=mask, reduction="none", **given)
    assert torch.equal(masked[mask], per_entry[mask]) and not masked[~mask].any()
    torch.testing.assert_close(
        model.loss(observation, actions, action_mask=mask, **given), per_entry[mask].mean()
    )


# ---------------------------------------------------------------- time, noise, seeds


def test_time_embedding_formula_and_dtype():
    tau = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    embedding = time_embedding(tau, 8)
    assert embedding.dtype == torch.float64 and embedding.shape == (3, 8)
    periods = torch.tensor([4e-3, 4e-2, 4e-1, 4.0], dtype=torch.float64)
    expected = 2 * torch.pi * (1 - tau)[:, None] / periods
    torch.testing.assert_close(
        embedding, torch.cat([expected.sin(), expected.cos()], dim=1), rtol=0, atol=1e-10
    )
    assert torch.equal(
        embedding[2], torch.tensor([0.0] * 4 + [1.0] * 4, dtype=torch.float64)
    )  # tau = 1, the action, is t = 0


@torch.no_grad()
def test_one_minus_tau_is_formed_in_float64():
    """tau = 0.7 in float32 is another number than in float64, and at 1571 radians that shows;
    formed in float32 it would not.
    """
    model, observation, noise = case()
    exact = model.velocity(observation, noise, torch.tensor(0.7, dtype=torch.float64))
    assert torch.equal(model.velocity(observation, noise, 0.7), exact)
    assert not torch.equal(model.velocity(observation, noise, torch.tensor(0.7)), exact)
    assert torch.equal(
        model.velocity(observation, noise, torch.full((3,), 0.7, dtype=torch.float64)), exact
    )


def test_noise_and_tau_come_from_the_generator():
    model, observation, actions = case()

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return model.loss(observation, actions, generator=generator).item(), model.sample_actions(
            observation, generator=generator
        )

    (loss, chunk), (same_loss, same_chunk), (_, other_chunk) = draw(0), draw(0), draw(1)
    assert (
        loss == same_loss and torch.equal(chunk, same_chunk) and not torch.equal(chunk, other_chunk)
    )
    assert not chunk.requires_grad


# ---------------------------------------------------------------- sizes


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_full_size_has_the_released_numbers_of_parameters():
    with torch.device("meta"):
        model = Pi0(Pi0Config.full())
    experts = model.experts
    assert count(model) == 3_238_048_528
    assert count(model.vision) == 412_442_352
    assert count(model.projector) == 2_361_344
    assert count(model.embedding) == 526_647_296
    assert count(experts.vlm) == 1_981_884_416
    assert count(experts.action) == 311_464_960
    projections = (
        model.state_proj,
        model.action_in_proj,
        model.action_time_mlp_in,
        model.action_time_mlp_out,
        model.action_out_proj,
    )
    assert sum(map(count, projections)) == 3_248_160 and all(
        projection.bias is not None for projection in projections
    )


def test_mini_is_mini_and_can_be_changed():
    config = Pi0Config.mini(action_dim=4, state_dim=5, horizon=8, vocab_size=300)
    sizes = (config.action_dim, config.state_dim, config.horizon, config.vocab_size)
    assert sizes == (4, 5, 8, 300)
    assert 0.8e6 < count(Pi0(Pi0Config.mini())) < 1.6e6


def test_config_to_dict_and_back():
    for config in (Pi0Config.mini(), Pi0Config.full(), *CONFIGS.values()):
        assert Pi0Config.from_dict(config.to_dict()) == config
    values = Pi0Config.mini().to_dict()
    for broken, message in [
        ({**values, "wings": 2}, "config: expected the entries"),
        ({k: v for k, v in values.items() if k != "horizon"}, "config: expected the entries"),
        ({**values, "vision": {**values["vision"], "size": 3}}, "vision: expected the entries"),
        ({**values, "vlm": None}, "vlm: expected the entries .*got None"),
        ({**values, "horizon": 0}, "Pi0Config.horizon must be a positive integer, not 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            Pi0Config.from_dict(broken)


def test_impossible_configurations_are_refused():
    config = CONFIGS["one kv head"]
    for name in ("vocab_size", "action_dim", "state_dim", "horizon"):
        for value in (0, -1, 2.5, None):
            with pytest.raises(ValueError, match=f"Pi0Config.{name} must be a positive integer"):
                replace(config, **{name: value})
    with pytest.raises(ValueError, match="no patch of 16 pixels fits into an image of 8"):
        VisionConfig(image_size=8, patch_size=16, width=8, depth=1, num_heads=1, mlp_dim=8)
    with pytest.raises(ValueError, match="divisible by num_heads"):
        Pi0(
            replace(
                config,
                vision=VisionConfig(
                    image_size=16, patch_size=8, width=8, depth=1, num_heads=3, mlp_dim=8
                ),
            )
        )
    other = ExpertConfig(width=32, mlp_dim=56, depth=2, num_heads=4, num_kv_heads=1, head_dim=16)
    with pytest.raises(ValueError, match="attend jointly, but depth"):
        Pi0(replace(config, action_expert=other))


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda o: replace(o, images=o.images[:, :1]),
            r"images has shape \(3, 1, 3, 20, 20\), this model expects \(3, 2, 3, 20, 20\)",
        ),
        (lambda o: replace(o, images=o.images[..., :19]), "images has shape"),
        (lambda o: replace(o, images=o.images.permute(0, 1, 3, 4, 2)), "images has shape"),
        (
            lambda o: replace(o, images=(o.images * 255).byte()),
            r"images are torch.uint8, expected floating-point in \[-1, 1\]",
        ),
        (lambda o: replace(o, image_mask=o.image_mask[:2]), "image_mask has shape"),
        (
            lambda o: replace(o, token_mask=o.token_mask[:, :4]),
            r"token_mask has shape \(3, 4\), this model expects \(3, 6\)",
        ),
        (lambda o: replace(o, tokens=o.tokens[0]), "tokens has shape"),
        (
            lambda o: replace(o, state=o.state[:, :2]),
            r"state has shape \(3, 2\), this model expects \(3, 3\)",
        ),
        (
            lambda o: replace(o, tokens=o.tokens + 60),
            "is outside the vocabulary of 60: was another tokenizer used",
        ),
        (lambda o: replace(o, tokens=-o.tokens), "token -[0-9]+ is outside the vocabulary"),
        (lambda o: replace(o, state=o.state / 0), "state holds a NaN or an infinity"),
        (lambda o: replace(o, images=o.images * float("nan")), "images holds a NaN or an infinity"),
        (
            lambda o: replace(o, images=(o.images + 1) * 127.5),
            r"images reach .* expected \[-1, 1\]",
        ),
        (lambda o: replace(o, images=-o.images.abs() - 3), r"images reach .* expected \[-1, 1\]"),
    ],
)
def test_wrong_observations_are_refused_everywhere(change, message):
    model, observation, actions = case()
    wrong = change(observation)
    for call in (
        lambda o: model.velocity(o, actions, 0.5),
        lambda o: model.loss(o, actions),
        lambda o: model.sample_actions(o, actions),
    ):
        with pytest.raises(ValueError, match=message):
            call(wrong)


def test_wrong_actions_tau_and_steps_are_refused():
    model, observation, actions = case()
    for call, message in [
        (
            lambda: model.velocity(observation, actions[:, :5], 0.5),
            r"noisy_actions has shape \(3, 5, 5\), this model expects \(3, 6, 5\)",
        ),
        (lambda: model.loss(observation, actions[:2]), r"actions has shape \(2, 6, 5\)"),
        (lambda: model.loss(observation, actions, noise=actions[:2]), "noise"),
        (lambda: model.loss(observation, actions, action_mask=torch.ones(3, 5)), "mask has shape"),
        (lambda: model.sample_actions(observation, noise=actions[..., :4]), "noise has shape"),
        (
            lambda: model.velocity(observation, actions, torch.rand(2)),
            r"tau has shape \(2,\), expected a scalar or \(3,\)",
        ),
        (lambda: model.velocity(observation, actions, 1.5), r"tau must lie in \[0, 1\]"),
        (
            lambda: model.velocity(observation, actions, torch.tensor(-0.1)),
            r"tau must lie in \[0, 1\]",
        ),
        (
            lambda: model.loss(observation, actions, tau=torch.tensor([0.0, 0.5, 2.0])),
            r"tau must lie in \[0, 1\]",
        ),
        (lambda: model.loss(observation, actions * float("nan")), "actions holds a NaN"),
        (
            lambda: model.sample_actions(observation, noise=actions * float("inf")),
            "noise holds a NaN or an infinity",
        ),
        (
            lambda: model.sample_actions(observation, steps=0),
            "steps must be a whole number of at least 1, not 0",
        ),
        (
            lambda: model.sample_actions(observation, steps=-1),
            "steps must be a whole number of at least 1, not -1",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_observations_stack_index_and_move():
    config = CONFIGS["one kv head"]
    observation = ref.random_observation(config)
    again = Observation.stack([observation[i] for i in range(3)])
    moved = observation.to("meta")
    for name in ("images", "image_mask", "tokens", "token_mask", "state"):
        assert torch.equal(getattr(again, name), getattr(observation, name))
        assert getattr(moved, name).device.type == "meta"


def test_compiling_changes_no_number_and_is_used_everywhere():
    config = ref.tiny()
    model, observation = ref.random_pi0(config), ref.random_observation(config)
    actions, noise = torch.randn(
        2, 3, config.horizon, config.action_dim, generator=torch.Generator().manual_seed(0)
    )

    def results():
        loss = model.loss(observation, actions, noise=noise, tau=torch.tensor([0.1, 0.5, 0.9]))
        return [
            loss,
            *torch.autograd.grad(loss, model.parameters(), allow_unused=True),
            model.sample_actions(observation, noise=noise),
        ]

    eager, graphs = results(), []

    def backend(graph, inputs):  # what torch.compile traced, run as it is: no compiler needed
        graphs.append(graph)
        return graph.forward

    model.compile(backend=backend)
    for before, after in zip(eager, results(), strict=True):
        assert (before is None) == (after is None)
        if before is not None:
            torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)
    assert len(graphs) >= 2  # encode and decode


def test_a_configuration_of_another_type_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="config must be a Pi0Config .* not a dict"):
        Pi0.from_pretrained(tmp_path, config=ref.tiny().to_dict())


@pytest.mark.parametrize("how", ["NaN", "float16"])
def test_actions_that_are_not_finite_are_refused(how):
    model, observation, noise = case()
    if how == "NaN":
        torch.nn.init.constant_(model.action_time_mlp_out.bias, float("nan"))
    else:  # weights that float32 has room for
        torch.nn.init.constant_(model.action_out_proj.weight, 6e4)
        model.half()
    with pytest.raises(FloatingPointError, match="weights may be broken, or float16 overflowed"):
        model.sample_actions(observation, noise)
