"""Closed forms against quadrature and Monte Carlo; the obstacle's geometry; training."""

import math

import pytest
import torch

from minipi0 import flow, toys
from minipi0.evaluate import energy_distance, over_seeds


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("x", [-1.2, 0.1, 2.0])
def test_velocity_and_variance_against_quadrature(tau, x):
    # Independent of the formula: integrate the posterior of A on a fine grid, p(A | x) ~ p(A) N(x;
    # tau A, (1 - tau)^2).
    mixture = toys.GaussianMixture([[-1.0], [0.5], [2.0]], 0.3, [1.0, 2.0, 0.5])
    a = torch.linspace(-6, 8, 200_001, dtype=torch.float64)
    prior = (mixture.weights[:, None] * torch.exp(-((a - mixture.means) ** 2) / (2 * 0.3**2))).sum(
        0
    )
    posterior = prior * torch.exp(-((x - tau * a) ** 2) / (2 * (1 - tau) ** 2))
    posterior /= posterior.sum()
    u = a - (x - tau * a) / (1 - tau)  # the noise follows from x and A
    mean = (posterior * u).sum()
    variance = (posterior * (u - mean) ** 2).sum()
    point = torch.tensor([[x]], dtype=torch.float64)
    assert mixture.velocity(point, tau).item() == pytest.approx(mean.item(), abs=1e-9)
    assert mixture.target_variance(point, tau).item() == pytest.approx(variance.item(), abs=1e-9)


def test_the_velocity_is_the_best_prediction_and_its_error_the_target_variance():
    mixture, g = toys.ring(), generator()
    a = mixture.sample(200_000, g)
    noise, tau = torch.randn(a.shape, generator=g), toys.uniform_tau(len(a), g)
    x = flow.interpolate(a, noise, tau)
    v = mixture.velocity(x, tau)
    squared = ((a - noise - v) ** 2).sum(1)
    assert squared.mean() == pytest.approx(mixture.target_variance(x, tau).mean().item(), rel=0.02)
    assert ((a - noise - 0.95 * v) ** 2).sum(1).mean() > squared.mean()


def test_one_exact_step_from_noise_lands_on_the_mean():
    mixture = toys.GaussianMixture([[1.0, 2.0], [-3.0, 0.5]], 0.2, [3, 1])
    noise = torch.randn(4000, 2, generator=generator())
    torch.testing.assert_close(
        mixture.velocity(noise, 0.0), mixture.mean.float() - noise, rtol=0, atol=1e-6
    )
    end = flow.euler(mixture.velocity, noise, steps=1)
    assert end.std(0).max() < 1e-5
    assert (end - mixture.mean).abs().max() < 1e-5


def test_posterior_is_the_prior_at_the_start_and_certain_at_the_end():
    mixture, x = (
        toys.GaussianMixture([[1.0, 0.0], [-1.0, 0.0]], 0.1, [3, 1]),
        torch.tensor([[1.0, 0.0], [-0.9, 0.1]]),
    )
    torch.testing.assert_close(mixture.posterior(x, 0.0), mixture.weights.expand(2, 2))
    torch.testing.assert_close(mixture.posterior(x, 1.0), torch.eye(2, dtype=torch.float64))


def test_log_density_integrates_to_one_and_ends_at_data_and_noise():
    mixture = toys.GaussianMixture([[1.0], [-2.0]], 0.4, [3, 1])
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    for tau in (0.0, 0.6, 1.0):
        assert mixture.log_density(x, tau).exp().sum().item() * 24 / 20_000 == pytest.approx(
            1, abs=1e-6
        )
    torch.testing.assert_close(
        mixture.log_density(x, 0.0), torch.distributions.Normal(0.0, 1.0).log_prob(x[:, 0])
    )


def test_velocity_takes_tau_per_item_keeps_dtype_and_is_stable_at_both_ends():
    mixture, x = toys.two_moons(), torch.randn(8, 2, generator=generator())
    tau = torch.linspace(0, 1, 8, dtype=torch.float64)
    together = mixture.velocity(x, tau)
    alone = torch.cat([mixture.velocity(x[i : i + 1], tau[i].item()) for i in range(8)])
    assert torch.equal(together, alone) and together.dtype == torch.float32
    assert mixture.velocity(x.double(), 1.0).dtype == torch.float64
    torch.testing.assert_close(
        mixture.velocity(x, 1.0), x
    )  # at the end A = x, and the noise averages to 0
    far = mixture.velocity(1e4 * x, torch.tensor(0.999))
    assert torch.isfinite(far).all()


def test_ten_exact_steps_on_the_ring():
    ring, distances = toys.ring(), []
    for seed in range(5):
        g = generator(seed)
        samples = flow.euler(ring.velocity, torch.randn(4000, 2, generator=g), steps=10)
        distances.append(energy_distance(samples, ring.sample(4000, g)))
        assert ring.modes_found(samples) == 8
    assert sorted(distances)[2] <= 0.006


def test_sample_has_the_weights_means_and_width():
    mixture = toys.GaussianMixture([[0.0, 0.0], [5.0, 5.0]], 0.5, [1, 3])
    x = mixture.sample(40_000, generator())
    right = x[:, 0] > 2.5
    assert right.float().mean() == pytest.approx(0.75, abs=0.01)
    assert x[right].std(0).mean() == pytest.approx(0.5, abs=0.01)
    assert torch.equal(x, mixture.sample(40_000, generator()))
    assert mixture.occupancy(x).tolist() == pytest.approx([0.25 * 0.989, 0.75 * 0.989], abs=0.01)


def test_modes_found_counts_only_modes_that_have_samples():
    ring = toys.ring()
    assert ring.modes_found(ring.sample(4000, generator())) == 8
    assert ring.modes_found(torch.zeros(4000, 2)) == 0
    assert ring.modes_found(ring.means[:1].repeat(100, 1)) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([[0.0, 0.0]], 0.0), "std must be a positive"),
        (([[0.0, 0.0]], -1.0), "std must be a positive"),
        (([[0.0, 0.0]], math.nan), "std must be a positive"),
        (([0.0, 0.0], 1.0), "shape"),
        (([[0.0, math.inf]], 1.0), "finite"),
        (([[0.0], [1.0]], 1.0, [1.0, -0.5]), "not negative"),
        (([[0.0], [1.0]], 1.0, [0.0, 0.0]), "all zero"),
        (([[0.0], [1.0]], 1.0, [1.0]), "one per mean"),
    ],
)
def test_mixture_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        toys.GaussianMixture(*arguments)


def test_mixture_refuses_bad_points_and_times():
    ring = toys.ring()
    for x, tau, message in [
        (torch.zeros(3, 3), 0.5, "shape"),
        (torch.zeros(3, 2), 1.5, "lie in"),
        (torch.zeros(3, 2), torch.zeros(2), "tau has shape"),
        (torch.full((3, 2), math.nan), 0.5, "finite"),
        (torch.zeros(3, 2), math.nan, "lie in"),
    ]:
        with pytest.raises(ValueError, match=message):
            ring.velocity(x, tau)
    for bad in (
        lambda: ring.sample(0),
        lambda: toys.ring(0),
        lambda: toys.two_moons(1),
        lambda: toys.obstacle_points(1),
    ):
        with pytest.raises(ValueError):
            bad()


def test_targets_are_centred():
    for mixture in (toys.ring(), toys.two_moons(), toys.obstacle_points()):
        assert mixture.mean.abs().max() < 1e-12
    assert (
        toys.obstacle_points().means.norm(dim=1) > toys.obstacle.radius + toys.obstacle.clearance
    ).all()


def test_demonstrations_keep_their_clearance_and_pass_on_both_sides():
    paths = toys.obstacle.demonstrations(100_000, generator())
    assert paths.shape == (100_000, 16, 2) and paths.dtype == torch.float32
    assert toys.obstacle.distance(paths).min() >= toys.obstacle.radius + toys.obstacle.clearance
    assert not toys.obstacle.collides(paths).any()
    assert (toys.obstacle.side(paths) == 1).float().mean() == pytest.approx(0.5, abs=0.01)
    assert torch.allclose(paths[:, 0], torch.tensor([-2.0, 0.0])) and torch.allclose(
        paths[:, -1], torch.tensor([2.0, 0.0]), atol=1e-6
    )
    assert toys.obstacle.collides(
        paths.mean(0, keepdim=True)
    ).all()  # the average of right answers is wrong


def test_conditional_demonstrations_keep_right_where_left_is_closed():
    closed = torch.arange(2000) % 2 == 0
    side = toys.obstacle.side(toys.obstacle.demonstrations(2000, generator(), closed))
    assert (side[closed] == -1).all()
    assert (side[~closed] == 1).float().mean() == pytest.approx(0.5, abs=0.06)
    with pytest.raises(ValueError, match="one per demonstration"):
        toys.obstacle.demonstrations(3, left_closed=torch.zeros(2))


def test_collision_is_of_segments_not_of_way_points():
    over = torch.tensor(
        [
            [[-1.0, 0.0], [1.0, 0.0]],
            [[-1.0, 0.39], [1.0, 0.39]],
            [[-1.0, 0.41], [1.0, 0.41]],
            [[-1.0, 0.0], [-1.0, 0.0]],
        ]
    )
    assert toys.obstacle.collides(over).tolist() == [True, True, False, False]
    for bad, message in (
        (torch.zeros(2, 2), "expected"),
        (torch.zeros(1, 1, 2), "expected"),
        (torch.full((1, 2, 2), math.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            toys.obstacle.collides(bad)


def test_members_are_separate_networks():
    net = toys.VelocityMLP(2, width=8, members=3)
    x = torch.randn(12, 2, generator=generator(), requires_grad=True)
    gradient = torch.autograd.grad(net(x, 0.5)[:4].sum(), x)[0]
    assert (gradient[:4] != 0).all() and (gradient[4:] == 0).all()
    same = x[:1].expand(3, 2)
    assert not torch.allclose(net(same, 0.5)[0], net(same, 0.5)[1])
    torch.testing.assert_close(net.member(1)(x[4:8], 0.5), net(x, 0.5)[4:8])
    with pytest.raises(IndexError, match="no member 3"):
        net.member(3)
    with pytest.raises(ValueError, match="shared evenly"):
        net(x[:4], 0.5)


def test_exact_chunks_pass_the_disc_and_one_step_hits_it():
    chunks = toys.obstacle_chunks(50)
    noise = torch.randn(100, 32, generator=torch.Generator().manual_seed(1))
    driven = flow.euler(chunks.velocity, noise, steps=10).reshape(-1, 16, 2)
    assert not toys.obstacle.collides(driven).any()
    assert 0.3 < (toys.obstacle.side(driven) == 1).float().mean() < 0.7
    assert toys.obstacle.collides(
        flow.euler(chunks.velocity, noise, steps=1).reshape(-1, 16, 2)
    ).all()


def test_only_a_network_that_is_told_tau_needs_it():
    x = torch.zeros(4, 2)
    blind = toys.VelocityMLP(2, told_tau=False)
    assert torch.equal(blind(x), blind(x, 0.3))
    with pytest.raises(ValueError, match="told tau"):
        toys.VelocityMLP(2)(x)


def test_network_inputs_tau_and_observation():
    x, tau = torch.randn(6, 2, generator=generator()), torch.linspace(0, 1, 6, dtype=torch.float64)
    told, blind = toys.VelocityMLP(2), toys.VelocityMLP(2, told_tau=False)
    assert not torch.allclose(told(x, 0.1), told(x, 0.9)) and torch.equal(
        blind(x, 0.1), blind(x, 0.9)
    )
    torch.testing.assert_close(told(x, tau)[2:3], told(x[2:3], tau[2].item()))
    conditional = toys.VelocityMLP(2, observation_dim=1)
    assert conditional(x, tau, torch.ones(6, 1)).shape == x.shape
    with pytest.raises(ValueError, match="observation"):
        conditional(x, tau)
    with pytest.raises(ValueError, match="observation"):
        told(x, tau, torch.ones(6, 1))


def test_over_seeds_is_the_t_interval():
    mean, half = over_seeds([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.303 / 3**0.5, abs=1e-3))
    with pytest.raises(ValueError, match="at least two"):
        over_seeds([1.0])


def test_optimal_pairs_shorten_the_way_and_keep_every_action():
    g = generator()
    actions, noise = toys.ring().sample(64, g), torch.randn(64, 2, generator=g)
    order = toys.optimal_pairs(actions, noise)
    assert sorted(order.tolist()) == list(range(64))
    assert ((actions[order] - noise) ** 2).sum() < 0.7 * ((actions - noise) ** 2).sum()


def test_training_learns_the_exact_field_and_is_seeded():
    mixture = toys.GaussianMixture([[1.0, 0.0], [-1.0, 0.0]], 0.5)
    nets = [toys.VelocityMLP(2, width=64, members=2) for _ in range(2)]
    losses = [
        toys.train(
            net, mixture.sample, steps=500, batch=256, progress=None, sample_tau=toys.uniform_tau
        )
        for net in nets
    ]
    assert losses[0].shape == (500, 2) and torch.equal(losses[0], losses[1])
    x = flow.interpolate(
        mixture.sample(2000, generator(3)), torch.randn(2000, 2, generator=generator()), 0.5
    )
    assert (nets[0](x, 0.5) - mixture.velocity(x, 0.5)).square().mean() < 0.05 * mixture.velocity(
        x, 0.5
    ).square().mean()
    assert not any(p.requires_grad for p in nets[0].parameters())
    tau, g = torch.rand(20_000, generator=generator(1)), generator(2)
    x = flow.interpolate(a := mixture.sample(20_000, g), torch.randn(a.shape, generator=g), tau)
    floor = mixture.target_variance(x, tau).mean() / 2
    assert losses[0][-200:].mean() == pytest.approx(floor.item(), rel=0.05)


def test_training_targets_pairs_and_observations():
    mean = torch.tensor([2.0, -1.0])
    regression = toys.VelocityMLP(2, width=32, told_tau=False)
    sample = toys.GaussianMixture([[2.0, -1.0]], 0.3).sample
    toys.train(
        regression,
        sample,
        300,
        target="action",
        sample_tau=lambda n, g: torch.zeros(n),
        progress=None,
    )
    assert (regression(torch.randn(100, 2, generator=generator()), 0.0) - mean).abs().mean() < 0.1

    distance = toys.VelocityMLP(2, width=32)
    toys.train(distance, sample, 400, target="distance", sample_tau=toys.uniform_tau, progress=None)
    x = torch.randn(200, 2, generator=generator())
    exact = 0.5 * toys.GaussianMixture([[2.0, -1.0]], 0.3).velocity(
        x + mean / 2, 0.5
    )  # A - A^tau = (1 - tau) (A - eps)
    assert (distance(x + mean / 2, 0.5) - exact).abs().mean() < 0.1

    def flagged(n, g):
        flag = (torch.rand(n, 1, generator=g) < 0.5).float()
        return 4 * flag - 2 + 0.1 * torch.randn(n, 1, generator=g), flag

    net = toys.VelocityMLP(1, width=32, observation_dim=1)
    toys.train(net, flagged, 300, batch=64, progress=None)
    flag = torch.tensor([[0.0], [1.0]]).repeat(50, 1)
    end = flow.euler(
        lambda x, tau: net(x, tau, flag), torch.randn(100, 1, generator=generator()), steps=10
    )
    assert (end - (4 * flag - 2)).abs().mean() < 0.3
    with pytest.raises(ValueError, match="depend on the observation"):
        toys.train(net, flagged, pair=toys.optimal_pairs, progress=None)


def test_training_refuses_an_unknown_target_and_stops_at_a_nan():
    net = toys.VelocityMLP(2)
    with pytest.raises(ValueError, match="target is"):
        toys.train(net, toys.ring().sample, target="noise")
    with pytest.raises((FloatingPointError, ValueError), match="finite"):
        toys.train(net, toys.ring().sample, steps=100, lr=math.inf, progress=None)
