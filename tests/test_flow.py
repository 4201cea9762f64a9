"""Flow matching's five functions: values, dtypes, broadcasting, generators, and every documented
error.
"""

import math

import pytest
import torch
from scipy import stats

from minipi0 import flow
from minipi0.pi0 import time_embedding

B, H, D = 5, 7, 3
FLOATS = [torch.bfloat16, torch.float16, torch.float32, torch.float64]


def pair(dtype=torch.float32, shape=(B, H, D), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2)
    )


# ---------------------------------------------------------------- the path


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("as_batch", [False, True])
def test_the_path_starts_at_the_noise_and_ends_at_the_action(dtype, as_batch):
    actions, noise = pair(dtype)
    for tau, expected in [(0.0, noise), (1.0, actions)]:
        given = torch.full((B,), tau) if as_batch else tau
        result = flow.interpolate(actions, noise, given)
        assert result.dtype == dtype and torch.equal(result, expected)


@pytest.mark.parametrize(
    "tau", [0, 1, 0.25, *(torch.tensor(0.25, dtype=dtype) for dtype in FLOATS)]
)
def test_a_scalar_tau_is_the_same_tau_for_everyone(tau):
    actions, noise = pair()
    result = flow.interpolate(actions, noise, tau)
    assert result.shape == actions.shape and result.dtype == torch.float32
    torch.testing.assert_close(result, float(tau) * actions + (1 - float(tau)) * noise)


@pytest.mark.parametrize("tau_dtype", FLOATS)
@pytest.mark.parametrize("shape", [(B, D), (B, H, D), (B, 2, H, D), (B,)])
def test_a_batch_of_taus_gives_every_item_its_own(tau_dtype, shape):
    actions, noise = pair(shape=shape)
    tau = torch.tensor([0.0, 0.125, 0.5, 0.75, 1.0], dtype=tau_dtype)
    result = flow.interpolate(actions, noise, tau)
    for i in range(B):
        torch.testing.assert_close(
            result[i], tau[i].item() * actions[i] + (1 - tau[i].item()) * noise[i]
        )


@pytest.mark.parametrize("dtype", FLOATS)
def test_scalar_and_batch_of_taus_agree_to_the_last_bit_and_round_once(dtype):
    actions, noise = pair(dtype)
    for tau in (0.1, 1 / 3, 0.999):
        scalar = flow.interpolate(actions, noise, tau)
        batch = flow.interpolate(actions, noise, torch.full((B,), tau, dtype=torch.float64))
        assert torch.equal(scalar, batch)
        exact = tau * actions.double() + (1 - tau) * noise.double()
        assert torch.equal(scalar, exact.to(dtype))


def test_mixed_dtypes_keep_the_actions_dtype():
    actions, noise = pair()
    assert flow.interpolate(actions.bfloat16(), noise, 0.5).dtype == torch.bfloat16
    assert flow.interpolate(actions, noise.double(), torch.full((B,), 0.5)).dtype == torch.float32
    assert flow.velocity_target(actions.bfloat16(), noise).dtype == torch.bfloat16


def test_an_empty_batch_passes():
    empty = torch.empty(0, H, D)
    assert flow.interpolate(empty, empty, torch.empty(0)).shape == (0, H, D)


@pytest.mark.parametrize("shape", [(B, D), (B, H, D)])
def test_the_derivative_of_the_path_is_the_target_at_every_tau(shape):
    actions, noise = pair(torch.float64, shape)
    target = flow.velocity_target(actions, noise)
    assert torch.equal(target, actions - noise)
    for value in torch.linspace(0.001, 0.999, 23, dtype=torch.float64):
        tau = value.repeat(B).requires_grad_()
        path = flow.interpolate(actions, noise, tau)
        for index in torch.cartesian_prod(*map(torch.arange, shape[1:])).reshape(
            -1, len(shape) - 1
        ):
            (slope,) = torch.autograd.grad(
                path[(slice(None), *index)].sum(), tau, retain_graph=True
            )
            torch.testing.assert_close(slope, target[(slice(None), *index)], atol=1e-6, rtol=0)


def test_the_derivative_holds_for_a_scalar_tau_and_in_float32():
    actions, noise = pair()
    tau = torch.tensor(0.3, requires_grad=True)
    _, slope = torch.autograd.functional.jvp(
        lambda t: flow.interpolate(actions, noise, t), tau, torch.ones_like(tau)
    )
    torch.testing.assert_close(slope, flow.velocity_target(actions, noise), atol=1e-6, rtol=0)


# ---------------------------------------------------------------- tau


def test_tau_follows_the_papers_beta():
    tau = flow.sample_tau(50_000, torch.Generator().manual_seed(0))
    assert tau.shape == (50_000,) and tau.dtype == torch.float32 and tau.device.type == "cpu"
    assert tau.min() >= 0 and tau.max() <= 0.999
    result = stats.kstest((0.999 - tau.double().numpy()) / 0.999, stats.beta(1.5, 1).cdf)
    assert result.pvalue > 0.01
    standard_error = 0.999 * stats.beta(1.5, 1).std() / math.sqrt(len(tau))
    assert abs(tau.mean().item() - 0.3996) < 4 * standard_error


def test_the_likely_mistakes_in_the_beta_would_be_seen():
    """The same test refuses Beta(1, 1.5), the other direction of time, and a uniform tau."""
    tau = flow.sample_tau(50_000, torch.Generator().manual_seed(0)).double().numpy()
    for wrong in (
        stats.beta(1, 1.5).cdf,
        lambda x: stats.beta(1.5, 1).sf(1 - x),
        stats.uniform.cdf,
    ):
        assert stats.kstest((0.999 - tau) / 0.999, wrong).pvalue < 1e-6


def test_tau_repeats_with_its_generator_and_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    draws = [flow.sample_tau(64, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    first = flow.sample_tau(8)
    torch.manual_seed(5)
    assert torch.equal(flow.sample_tau(8), first)


def test_no_tau_and_a_negative_number_of_them():
    assert flow.sample_tau(0).shape == (0,)
    with pytest.raises(ValueError, match="cannot sample -1 values of tau"):
        flow.sample_tau(-1)


# ---------------------------------------------------------------- the loss


def naive_loss(velocity, actions, noise, mask=None):
    total, count = 0.0, 0
    for b in range(len(actions)):
        for h in range(actions.shape[1]):
            if mask is not None and not mask[b, h]:
                continue
            for d in range(actions.shape[2]):
                total += (
                    velocity[b, h, d].item() - (actions[b, h, d].item() - noise[b, h, d].item())
                ) ** 2
                count += 1
    return total / count


def ragged_mask():
    return (
        torch.arange(H) < torch.tensor([7, 3, 1, 0, 5])[:, None]
    )  # (B, H), one item without any real step


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_the_mean_squared_distance_to_the_target(dtype, masked):
    actions, noise = pair(dtype)
    velocity, _ = pair(dtype, seed=1)
    mask = ragged_mask() if masked else None
    value = flow.loss(velocity, actions, noise, mask)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert value.item() == pytest.approx(naive_loss(velocity, actions, noise, mask), rel=1e-5)


def test_unreduced_is_zero_where_padded_and_averages_to_the_mean():
    actions, noise = pair()
    velocity, _ = pair(seed=1)
    mask = ragged_mask()
    each = flow.loss(velocity, actions, noise, reduction="none")
    assert each.shape == (B, H, D)
    torch.testing.assert_close(each, (velocity - (actions - noise)) ** 2)
    padded = flow.loss(velocity, actions, noise, mask, reduction="none")
    assert torch.equal(padded[mask], each[mask]) and (padded[~mask] == 0).all()
    torch.testing.assert_close(
        padded.sum() / (mask.sum() * D), flow.loss(velocity, actions, noise, mask)
    )
    torch.testing.assert_close(flow.loss(velocity, actions, noise), each.mean())


def test_a_mask_of_ones_of_any_dtype_changes_nothing():
    actions, noise = pair()
    velocity, _ = pair(seed=1)
    for dtype in (torch.bool, torch.int64, torch.float32):
        torch.testing.assert_close(
            flow.loss(velocity, actions, noise, torch.ones(B, H, dtype=dtype)),
            flow.loss(velocity, actions, noise),
        )


def test_the_true_velocity_has_no_loss_and_the_misprinted_sign_has():
    actions, noise = pair()
    assert flow.loss(flow.velocity_target(actions, noise), actions, noise) == 0
    assert flow.loss(noise - actions, actions, noise) == pytest.approx(
        4 * (actions - noise).square().mean().item(), rel=1e-5
    )


@pytest.mark.parametrize("garbage", [1e6, 1e30, float("inf"), float("nan")])
def test_padding_has_no_influence_on_the_loss_or_its_gradient(garbage):
    """Data and noise are finite, or refused; a network may put out anything at a padded step."""
    actions, noise = pair()
    clean, _ = pair(seed=1)
    mask = ragged_mask()
    dirty = torch.where(mask[..., None], clean, garbage)
    losses, gradients = [], []
    for velocity in (clean, dirty):
        velocity = velocity.clone().requires_grad_()
        losses.append(flow.loss(velocity, actions, noise, mask))
        gradients.append(torch.autograd.grad(losses[-1], velocity)[0])
    assert torch.equal(*losses) and torch.equal(*gradients)
    assert (gradients[1][~mask] == 0).all() and (gradients[1][mask] != 0).all()
    padded_actions = torch.where(mask[..., None], actions, 1e6)
    assert torch.equal(flow.loss(clean, padded_actions, noise, mask), losses[0].detach())


def test_the_loss_takes_points_and_a_network_in_half_precision():
    actions, noise = pair(shape=(B, D))
    assert flow.loss(actions, actions, noise, torch.tensor([1, 1, 0, 0, 0])) == pytest.approx(
        noise[:2].square().mean().item(), rel=1e-5
    )
    value = flow.loss(torch.zeros(B, D, dtype=torch.bfloat16), actions, noise)
    assert value.dtype == torch.float32 and value.item() == pytest.approx(
        (actions - noise).square().mean().item(), rel=1e-6
    )


# ---------------------------------------------------------------- Euler


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("shape", [(B, D), (B, H, D)])
def test_a_constant_field_is_integrated_exactly_in_any_number_of_steps(steps, shape):
    actions, noise = pair(torch.float64, shape)
    target = flow.velocity_target(actions, noise)
    torch.testing.assert_close(
        flow.euler(lambda x, tau: target, noise, steps), actions, atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_path_holds_every_point_noise_first(dtype):
    _, noise = pair(dtype)
    path = flow.euler(lambda x, tau: x, noise, steps=4, path=True)
    assert path.shape == (5, B, H, D) and path.dtype == dtype
    assert torch.equal(path[0], noise)
    assert torch.equal(path[-1], flow.euler(lambda x, tau: x, noise, steps=4))
    tolerance = 0.05 if dtype in (torch.bfloat16, torch.float16) else 1e-5
    torch.testing.assert_close(path[-1], noise * 1.25**4, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_tau_is_a_zero_dimensional_float64_and_counts_i_over_n(steps):
    seen = []

    def velocity(x, tau):
        assert isinstance(tau, torch.Tensor) and tau.ndim == 0 and tau.dtype == torch.float64
        seen.append(tau.item())
        return torch.zeros_like(x)

    flow.euler(velocity, torch.zeros(2, 2), steps)
    assert seen == [i / steps for i in range(steps)]  # the very same float64, and never tau = 1


def test_ten_steps_by_default_and_first_order():
    noise = torch.ones(1, 1, dtype=torch.float64)
    assert flow.euler(lambda x, tau: x, noise).item() == pytest.approx(1.1**10)
    errors = [abs(flow.euler(lambda x, tau: x, noise, n).item() - math.e) for n in (100, 200)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)


def test_euler_keeps_the_noises_dtype_whatever_the_network_returns_and_lets_gradients_through():
    noise = torch.ones(2, 2, requires_grad=True)
    out = flow.euler(lambda x, tau: x.double(), noise, 2)
    assert out.dtype == torch.float32
    out.sum().backward()
    torch.testing.assert_close(noise.grad, torch.full((2, 2), 2.25))


def test_the_noise_is_left_as_it_was():
    noise = torch.ones(2, 2)
    flow.euler(lambda x, tau: x, noise, 3)
    assert torch.equal(noise, torch.ones(2, 2))


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator here")
def test_an_accelerator_gives_what_the_cpu_gives():
    device = torch.accelerator.current_accelerator()
    actions, noise = pair()
    there = actions.to(device), noise.to(device)
    for tau in (
        0.3,
        torch.tensor(0.3),
        torch.linspace(0, 1, B),
        torch.linspace(0, 1, B, device=device),
    ):
        moved = flow.interpolate(*there, tau)
        assert moved.device == there[0].device
        torch.testing.assert_close(
            moved.cpu(),
            flow.interpolate(actions, noise, tau.cpu() if torch.is_tensor(tau) else tau),
        )
    mask = ragged_mask()
    torch.testing.assert_close(
        flow.loss(there[0], *there, mask.to(device)).cpu(), flow.loss(actions, actions, noise, mask)
    )
    torch.testing.assert_close(
        flow.euler(lambda x, tau: x * (1 - tau), there[1]).cpu(),
        flow.euler(lambda x, tau: x * (1 - tau), noise),
    )
    assert flow.sample_tau(4, device=device).device == there[0].device


# ---------------------------------------------------------------- errors

a, e = torch.zeros(B, H, D), torch.zeros(B, H, D)
bad = torch.zeros(B, H, D)
bad[1, 2, 0] = float("nan")
infinite = torch.zeros(B, H, D)
infinite[0, 0, 1] = float("inf")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: flow.interpolate(a, e[:, :-1], 0.5),
            r"actions have shape \(5, 7, 3\), noise \(5, 6, 3\)",
        ),
        (
            lambda: flow.interpolate(a, e, torch.rand(B - 1)),
            r"tau has shape \(4,\), expected a scalar or \(5,\)",
        ),
        (
            lambda: flow.interpolate(a, e, torch.rand(1)),
            r"tau has shape \(1,\), expected a scalar or \(5,\)",
        ),
        (lambda: flow.interpolate(a, e, torch.rand(B, 1)), r"tau has shape \(5, 1\)"),
        (lambda: flow.interpolate(a, e, 1.5), r"tau must lie in \[0, 1\].*got 1\.5"),
        (lambda: flow.interpolate(a, e, -1e-3), r"tau must lie in \[0, 1\].*got -0\.001"),
        (
            lambda: flow.interpolate(a, e, torch.tensor([0, 0, 0, 0, 1.2])),
            r"tau must lie in \[0, 1\].*got 0 … 1\.2",
        ),
        (lambda: flow.interpolate(a, e, float("nan")), r"tau must lie in \[0, 1\].*nan"),
        (
            lambda: flow.interpolate(bad, e, 0.5),
            r"actions holds a NaN or an infinity, first at index \[1, 2, 0\]",
        ),
        (
            lambda: flow.interpolate(a, infinite, 0.5),
            r"noise holds a NaN or an infinity, first at index \[0, 0, 1\]",
        ),
        (
            lambda: flow.interpolate(a.long(), e, 0.5),
            "actions must be a floating-point tensor, not torch.int64",
        ),
        (lambda: flow.interpolate(a, e.to("meta"), 0.5), "actions are on cpu, noise on meta"),
        (
            lambda: flow.velocity_target(a, e[:-1]),
            r"actions have shape \(5, 7, 3\), noise \(4, 7, 3\)",
        ),
        (lambda: flow.velocity_target(a, bad), "noise holds a NaN"),
        (lambda: flow.loss(a[:, :1], a, e), r"velocity has shape \(5, 1, 3\), actions \(5, 7, 3\)"),
        (lambda: flow.loss(a, a, e[:1]), r"actions have shape \(5, 7, 3\), noise \(1, 7, 3\)"),
        (lambda: flow.loss(a, a, e, reduction="sum"), 'reduction is "mean" or "none", not \'sum\''),
        (lambda: flow.loss(a, a, e, torch.ones(B)), r"mask has shape \(5,\), expected \(5, 7\)"),
        (
            lambda: flow.loss(a, a, e, torch.ones(B, H, 1)),
            r"mask has shape \(5, 7, 1\), expected \(5, 7\)",
        ),
        (lambda: flow.loss(a, a, e, torch.zeros(B, H, dtype=torch.bool)), "no step as real"),
        (lambda: flow.loss(a, bad, e), "actions holds a NaN"),
        (
            lambda: flow.euler(lambda x, tau: x, e, 0),
            "steps must be a whole number of at least 1, not 0",
        ),
        (
            lambda: flow.euler(lambda x, tau: x, e, -3),
            "steps must be a whole number of at least 1, not -3",
        ),
        (
            lambda: flow.euler(lambda x, tau: x, e, 2.5),
            "steps must be a whole number of at least 1, not 2.5",
        ),
        (lambda: flow.euler(lambda x, tau: x, bad), "noise holds a NaN"),
        (
            lambda: flow.euler(lambda x, tau: x[:1], e),
            r"velocity returned shape \(1, 7, 3\) for points of shape \(5, 7, 3\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_mask_per_number():
    """Padded dims do not count, and do not dilute the mean."""
    generator = torch.Generator().manual_seed(0)
    velocity, actions, noise = (torch.randn(2, 3, 5, generator=generator) for _ in range(3))
    mask = torch.ones(2, 3, 5, dtype=torch.bool)
    mask[..., 3:] = False
    mask[1, 2] = False
    cut = flow.loss(
        velocity[..., :3], actions[..., :3], noise[..., :3], mask=mask[..., 0], reduction="none"
    )
    whole = flow.loss(velocity, actions, noise, mask=mask, reduction="none")
    assert torch.equal(whole[..., :3], cut) and not whole[..., 3:].any()
    mean = flow.loss(velocity, actions, noise, mask=mask)
    torch.testing.assert_close(mean, cut.sum() / (5 * 3))
    velocity[..., 4] = torch.inf
    velocity.requires_grad_(True)
    flow.loss(velocity, actions, noise, mask=mask).backward()
    assert velocity.grad.isfinite().all() and not velocity.grad[~mask].any()
    for shape in ((2,), (3, 5), (2, 3, 4), (2, 3, 1)):
        with pytest.raises(ValueError, match="one entry per action, or one per number"):
            flow.loss(velocity, actions, noise, mask=torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize("path", [False, True])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e38])
def test_a_chunk_that_is_not_finite_is_refused(path, bad):
    with pytest.raises(FloatingPointError, match="holds NaN or infinity"):
        flow.euler(lambda x, tau: x * bad, torch.ones(2, 3), steps=3, path=path)


class OnMps(torch.Tensor):
    """A tensor that says it is on Apple's GPU."""

    @property
    def device(self):
        return torch.device("mps")


@pytest.fixture
def apple(monkeypatch):
    """Tensor.to and Tensor.double as they are with that GPU, which knows no float64."""
    move = torch.Tensor.to

    def to(x, *wanted, **named):
        wanted = [*wanted, *named.values()]
        devices = [str(w) for w in wanted if isinstance(w, str | torch.device)]
        dtypes = [w for w in wanted if isinstance(w, torch.dtype)]
        there = isinstance(x, OnMps)
        stays = devices[0] == "mps" if devices else there
        dtype = dtypes[0] if dtypes else x.dtype
        if torch.float64 in (dtype, x.dtype) and stays or dtype == torch.float64 and there:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        moved = move(x.as_subclass(torch.Tensor), dtype)
        return moved.as_subclass(OnMps) if stays else moved

    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.Tensor, "double", lambda x: to(x, torch.float64))


@pytest.mark.parametrize("there", ["tau", "actions", "both"])
def test_apples_gpu_knows_no_float64(there, apple):
    """A cast comes after moving away from it."""
    actions, noise, tau = torch.randn(3, 4, 2), torch.randn(3, 4, 2), torch.rand(3)
    expected = tau[:, None, None] * actions + (1 - tau[:, None, None]) * noise
    if there != "actions":
        tau = tau.as_subclass(OnMps)
    if there != "tau":
        actions, noise = actions.as_subclass(OnMps), noise.as_subclass(OnMps)
    found = flow.interpolate(actions, noise, tau).as_subclass(torch.Tensor)
    torch.testing.assert_close(found, expected)


def test_the_time_embedding_on_apples_gpu(apple):
    tau = torch.rand(5)
    found = time_embedding(tau.as_subclass(OnMps), 8)
    assert found.dtype == torch.float64 and torch.equal(found, time_embedding(tau, 8))
