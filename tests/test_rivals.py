"""Octo, its flow head, the two-step policy and the L1 regression; diffusion in flow's clock."""

import pytest
import torch
from synthetic import TINY, Chunks, tiny

from minipi0 import flow, toys, train
from minipi0.baselines import (
    L1Regression,
    Octo,
    OctoFlow,
    Regression,
    TwoStep,
    diffusion,
    octo,
    tau,
)

RIVALS = (Octo, OctoFlow, TwoStep, L1Regression)


def rival(kind):
    torch.manual_seed(0)
    return kind(TINY)


@pytest.mark.parametrize("kind", RIVALS)
def test_a_rival_learns_and_survives_its_file(kind, tmp_path):
    chunks, model = Chunks(), rival(kind)
    recipe = train.Recipe(steps=120, batch_size=37, warmup=10, learning_rate=8e-3)
    losses = train.fit(model, chunks, recipe=recipe, progress=False)
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    observation, actions, _ = chunks.batch(torch.arange(37))
    noise = torch.randn(actions.shape, generator=torch.Generator().manual_seed(0))
    sampled = model.sample_actions(observation, noise=noise)
    assert sampled.shape == actions.shape
    model.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    assert torch.equal(again.sample_actions(observation, noise=noise), sampled)
    assert again.config == model.config


def test_octo_walks_its_twenty_steps_to_the_chunk_that_its_noise_means():
    """With a head that knows the noise exactly, whatever the steps add."""
    model, bars = rival(Octo), diffusion.cosine_schedule(octo.STEPS)
    observation, actions, _ = Chunks().batch(torch.arange(5))
    asked = []

    def head(readout, noisy, step):
        asked.append(step[0].item())
        a, s = (x.float()[:, None, None] for x in diffusion.amplitudes(bars[step]))
        return (noisy - a * actions) / s

    model._modules.pop("head")
    model.head = head
    sampled = model.sample_actions(observation, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sampled, actions, atol=1e-3, rtol=0)
    assert asked == list(range(19, -1, -1))


def test_octo_trains_on_the_schedules_noise():
    """What the head is asked is a A + s eps, and the right answer has no loss."""
    model, bars = rival(Octo), diffusion.cosine_schedule(octo.STEPS)
    observation, actions, mask = Chunks(padding=9.0).batch(torch.arange(37))
    steps = []

    def head(readout, noisy, step):
        steps.extend(step.tolist())
        a, s = (x.float()[:, None, None] for x in diffusion.amplitudes(bars[step]))
        return (noisy - a * actions) / s  # wrong where the padding was cut off to 5

    model._modules.pop("head")
    model.head = head
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        loss = model.loss(observation, actions, action_mask=mask, generator=generator)
        assert loss < 1e-6
    assert set(steps) == set(range(20))


@pytest.mark.parametrize("kind", RIVALS)
def test_an_items_chunk_does_not_depend_on_the_batch(kind):
    model = rival(kind)
    observation, actions, _ = Chunks().batch(torch.arange(5))
    noise = torch.randn(actions.shape, generator=torch.Generator().manual_seed(0))
    together = model.sample_actions(observation, noise=noise)
    alone = model.sample_actions(observation[torch.tensor([3])], noise=noise[3:4])
    torch.testing.assert_close(together[3:4], alone, atol=1e-5, rtol=1e-4)


def test_padded_steps_count_in_no_loss():
    found = []
    for padding in (0.0, 3.0):
        observation, actions, mask = Chunks(padding).batch(torch.arange(6))
        found.append(rival(L1Regression).loss(observation, actions, action_mask=mask))
    assert found[0] == found[1]
    for kind in (Octo, OctoFlow, TwoStep):  # these read the padding too, but it is not asked for
        model = rival(kind)
        generator = torch.Generator().manual_seed(0)
        model.loss(
            observation,
            actions,
            torch.zeros_like(mask).index_fill(0, torch.tensor([0]), True),
            generator=generator,
        ).backward()
        assert model.state_proj.weight.grad.isfinite().all()


def test_the_readout_sees_all_and_is_seen_by_nobody():
    model = rival(Octo)
    observation, _, _ = Chunks().batch(torch.arange(2))
    before = model.readout(observation)
    with torch.no_grad():
        model.readout_token += 1.0
    assert (model.readout(observation) - before).abs().max() > 1e-3
    moved, _, _ = Chunks().batch(torch.arange(2))
    moved.state[0] += 1.0
    after = model.readout(moved)
    again = model.readout(observation)
    assert (after[0] - again[0]).abs().max() > 1e-3
    torch.testing.assert_close(after[1], again[1])


def test_no_action_goes_through_octos_transformer():
    names = {name for name, _ in rival(Octo).named_parameters()}
    assert not any(name.startswith("action_") for name in names)
    shared = {name for name, _ in rival(Regression).named_parameters()}
    assert {name for name in shared if name.startswith("experts.")} <= names


def test_the_two_step_policy_reads_its_own_answer():
    model = rival(TwoStep)
    observation, actions, _ = Chunks().batch(torch.arange(3))
    with torch.no_grad():
        encoded = model.encode(observation)
        first = model.predict(encoded, observation.state, torch.zeros_like(actions), 0.0)
        second = model.predict(encoded, observation.state, first, 0.9)
    assert torch.equal(model.sample_actions(observation), second)
    velocity = model.velocity(observation, first, 0.9)
    torch.testing.assert_close(second, velocity, atol=1e-6, rtol=1e-5)


def test_l1_predicts_the_median():
    coin = Chunks()
    coin.state.zero_()
    coin.images.zero_()
    side = torch.where(torch.arange(37) % 3 == 0, 1.0, -1.0)  # a third up, two thirds down
    coin.actions = side[:, None, None].expand(37, 4, 3).clone()
    coin.mask[:] = True
    recipe = train.Recipe(steps=100, batch_size=37, warmup=10, learning_rate=5e-3)
    found = {}
    for kind in (L1Regression, Regression):
        model = rival(kind)
        train.fit(model, coin, recipe=recipe, progress=False)
        found[kind] = model.sample_actions(coin.batch(torch.arange(3))[0]).mean()
    assert found[L1Regression] < -0.9
    assert -0.45 < found[Regression] < -0.2  # the mean is -0.30


# ---- one family --------------------------------------------------------------------------------


def test_the_cosine_schedule():
    bars = diffusion.cosine_schedule(20)
    t = torch.arange(1, 20, dtype=torch.float64) / 20
    expected = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    expected /= torch.cos(torch.tensor(0.008 / 1.008, dtype=torch.float64) * torch.pi / 2) ** 2
    torch.testing.assert_close(bars[:-1], expected)
    assert bars[-1] == pytest.approx(0.001 * bars[-2].item())
    with pytest.raises(ValueError, match="at least one step"):
        diffusion.cosine_schedule(0)


def test_the_exact_noise_is_the_exact_velocity():
    ring = toys.ring()
    generator = torch.Generator().manual_seed(0)
    A = ring.sample(500, generator).double()
    eps = torch.randn(500, 2, generator=generator, dtype=torch.float64)
    for alpha_bar in diffusion.cosine_schedule(20):
        a, s = diffusion.amplitudes(alpha_bar)
        x = a * A + s * eps
        at, scale = diffusion.clock(alpha_bar)
        point = scale * x
        torch.testing.assert_close(point, flow.interpolate(A, eps, at))
        assert diffusion.alpha_bar_of(at) == pytest.approx(alpha_bar.item(), rel=1e-9)
        noise, velocity = ring.noise(x, alpha_bar), ring.velocity(point, at)
        torch.testing.assert_close(
            diffusion.velocity_from_noise(noise, point, at), velocity, atol=1e-5, rtol=1e-9
        )
        torch.testing.assert_close(diffusion.noise_from_velocity(velocity, point, at), noise)
        assert diffusion.signal_to_noise(at) == pytest.approx((alpha_bar / (1 - alpha_bar)).item())


def test_an_estimate_within_the_limit_is_left_alone():
    ring, bar = toys.ring(), diffusion.cosine_schedule(20)[-2]
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = ring.noise(x, bar)
    torch.testing.assert_close(diffusion.noise_within(x, noise, bar, 5.0), noise)
    off = diffusion.noise_within(x, noise + 1.0, bar, 5.0)  # an estimate of about -13
    a, s = diffusion.amplitudes(bar)
    action = (x - s * off) / a
    assert action.min() == pytest.approx(-5.0) and (action <= 5.0 + 1e-9).all()


def test_ddim_is_euler_in_flows_clock():
    ring = toys.ring()
    bars = [*diffusion.cosine_schedule(20).flip(0), torch.tensor(1.0, dtype=torch.float64)]
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    at, scale = diffusion.clock(bars[0])
    y = scale * x
    for bar, following in zip(bars, bars[1:], strict=False):
        x = diffusion.ddim_step(x, ring.noise(x, bar), bar, following)
        at, then = diffusion.clock(bar)[0], diffusion.clock(following)[0]
        y = y + (then - at) * ring.velocity(y, at)
        torch.testing.assert_close(x * diffusion.clock(following)[1], y, atol=1e-5, rtol=0)


def test_ddpm_with_the_exact_noise_samples_the_ring():
    ring = toys.ring()
    generator = torch.Generator().manual_seed(0)
    bars = [1.0, *diffusion.cosine_schedule(100).tolist()]
    x = torch.randn(2000, 2, generator=generator)
    for step in reversed(range(100)):
        fresh = torch.randn(x.shape, generator=generator) * (step > 0)
        noise = ring.noise(x, bars[step + 1])
        x = diffusion.ddpm_step(x, noise, bars[step + 1], bars[step], fresh)
    assert ring.modes_found(x) == 8
    assert ring.occupancy(x).sum() > 0.9


def test_draws_of_tau():
    generator = torch.Generator().manual_seed(0)
    early, middle = tau.beta(20_000, generator), tau.logit_normal(20_000, generator)
    assert early.mean() == pytest.approx(flow.TAU_MAX / 7, abs=0.005)
    assert middle.mean() == pytest.approx(0.5, abs=0.01)
    assert middle.logit().std() == pytest.approx(1, abs=0.02)
    assert ((early >= 0) & (early <= flow.TAU_MAX)).all() and ((middle > 0) & (middle < 1)).all()


def test_trained_on_another_tau_trains_the_model_itself():
    asked = []

    def sample(n, generator):
        asked.append(n)
        return torch.full((n,), 0.25)

    model, chunks = tiny(), Chunks()
    before = model.state_proj.weight.clone()
    recipe = train.Recipe(steps=3, batch_size=8, warmup=1)
    train.fit(tau.TrainedOn(model, sample), chunks, recipe=recipe, progress=False)
    assert asked == [8, 8, 8] and not torch.equal(model.state_proj.weight, before)
