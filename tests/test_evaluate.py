"""Scores of samples against independent computations: scipy in 1-D, naive loops, and what a proper
score must do.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats

from minipi0 import evaluate


def normal(*shape, seed=0, shift=0.0, scale=1.0):
    return shift + scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- energy distance


def test_in_one_dimension_it_is_the_square_of_scipys():
    x, y = normal(300, 1), normal(200, 1, seed=1, shift=0.5)
    expected = stats.energy_distance(x[:, 0].double().numpy(), y[:, 0].double().numpy()) ** 2
    assert evaluate.energy_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_the_naive_double_loop_in_three_dimensions():
    x, y = normal(7, 3), normal(5, 3, seed=1, scale=2.0)

    def mean(a, b):
        return sum(math.dist(p, q) for p in a.tolist() for q in b.tolist()) / (len(a) * len(b))

    assert evaluate.energy_distance(x, y) == pytest.approx(
        2 * mean(x, y) - mean(x, x) - mean(y, y), rel=1e-6
    )
    assert evaluate.energy_distance(x, y) == pytest.approx(
        evaluate.energy_distance(y, x), rel=1e-12
    )


def test_equal_clouds_are_at_zero_others_are_not_and_the_floor_is_as_documented():
    x = normal(400, 2)
    assert evaluate.energy_distance(x, x.clone()) == pytest.approx(0, abs=1e-12)
    assert evaluate.energy_distance(x, x + 1) > 0.3
    floor = np.mean(
        [
            evaluate.energy_distance(normal(400, 2, seed=2 * i), normal(400, 2, seed=2 * i + 1))
            for i in range(30)
        ]
    )
    assert floor == pytest.approx(
        math.sqrt(math.pi) * 2 / 400, rel=0.25
    )  # E|x - x'| = sqrt(pi) for two 2-D normals


@pytest.mark.parametrize(
    ("x", "y"), [((3,), (3,)), ((3, 2), (3, 1)), ((0, 2), (3, 2)), ((3, 2, 1), (3, 2, 1))]
)
def test_clouds_of_other_shapes_are_refused(x, y):
    with pytest.raises(ValueError, match=r"expected points \(N, D\) and \(M, D\)"):
        evaluate.energy_distance(torch.zeros(x), torch.zeros(y))


# ---------------------------------------------------------------- energy score


def naive_energy_score(samples, actions, mask):
    def size(difference, real):  # root mean square over real entries
        return (difference[real] ** 2).mean().sqrt().item()

    scores = []
    for b, real in enumerate(mask):
        m = len(samples)
        to_demo = sum(size(samples[i, b] - actions[b], real) for i in range(m)) / m
        pairs = [
            size(samples[i, b] - samples[j, b], real) for i in range(m) for j in range(m) if i != j
        ]
        scores.append(to_demo - (sum(pairs) / len(pairs) / 2 if pairs else 0))
    return torch.tensor(scores, dtype=torch.float64)


def ragged(b, h):
    return torch.arange(h) < torch.tensor([h - i for i in range(b)])[:, None]


@pytest.mark.parametrize("m", [1, 2, 6])
@pytest.mark.parametrize("masked", [False, True])
def test_the_naive_loop_with_masks_and_with_a_single_sample(m, masked):
    samples, actions = normal(m, 3, 4, 2), normal(3, 4, 2, seed=1)
    mask = ragged(3, 4) if masked else torch.ones(3, 4, dtype=torch.bool)
    score = evaluate.energy_score(samples, actions, mask)
    assert score.shape == (3,) and score.dtype == torch.float64
    torch.testing.assert_close(score, naive_energy_score(samples.double(), actions.double(), mask))


def test_padding_has_no_influence_and_an_item_without_a_real_step_has_no_score():
    samples, actions, mask = normal(5, 3, 4, 2), normal(3, 4, 2, seed=1), ragged(3, 4)
    dirty = torch.where(mask[..., None], samples, 1e6)
    torch.testing.assert_close(
        evaluate.energy_score(dirty, actions, mask), evaluate.energy_score(samples, actions, mask)
    )
    mask[1] = False
    assert evaluate.energy_score(samples, actions, mask).isnan().tolist() == [False, True, False]


def test_a_point_forecast_scores_its_error_and_no_copies_of_it_change_that():
    actions = normal(6, 4, 2)
    point = torch.full_like(actions, 0.3)
    mask = torch.ones(6, 4)
    rms = (actions - point).square().mean(dim=(1, 2)).sqrt().double()
    torch.testing.assert_close(
        evaluate.energy_score(point[None], actions, mask), rms, atol=1e-6, rtol=1e-5
    )
    torch.testing.assert_close(
        evaluate.energy_score(point.expand(9, -1, -1, -1), actions, mask), rms, atol=1e-6, rtol=1e-5
    )


def test_the_score_is_proper_the_true_distribution_beats_its_rivals():
    """Two answers, +1 and -1, with equal odds: sampling both beats the mean, one of them, wrong
    odds, and a Gaussian of equal moments.
    """
    generator = torch.Generator().manual_seed(0)

    def two_sided(odds, *shape):
        return torch.where(torch.rand(shape, generator=generator) < odds, 1.0, -1.0)[
            ..., None, None
        ]

    actions, mask = two_sided(0.5, 4000), torch.ones(4000, 1)
    forecasts = {
        "true": two_sided(0.5, 16, 4000),
        "mean": torch.zeros(16, 4000, 1, 1),
        "one side": torch.ones(16, 4000, 1, 1),
        "wrong odds": two_sided(0.8, 16, 4000),
        "Gaussian": torch.randn(16, 4000, 1, 1, generator=generator),
    }
    scores = {
        name: evaluate.energy_score(samples, actions, mask) for name, samples in forecasts.items()
    }
    assert scores["true"].mean().item() == pytest.approx(
        0.5, abs=0.02
    )  # E|y - a| - E|y - y'| / 2 = 1 - 1/2
    for name, score in scores.items():
        if name != "true":
            mean, low, _ = evaluate.bootstrap_interval((score - scores["true"]).numpy())
            assert low > 0, f"{name} is {mean:.3f} above the truth"


def test_the_number_of_samples_does_not_bias_the_score():
    actions, mask = normal(3000, 2, 2), torch.ones(3000, 2)
    few, many = (
        evaluate.energy_score(normal(m, 3000, 2, 2, seed=m), actions, mask) for m in (2, 32)
    )
    _, low, high = evaluate.bootstrap_interval((few - many).numpy())
    assert low < 0 < high


@pytest.mark.parametrize("samples", [(3, 4, 2), (5, 3, 4, 1), (5, 2, 4, 2)])
def test_chunks_that_do_not_fit_are_refused(samples):
    with pytest.raises(ValueError, match="do not fit"):
        evaluate.energy_score(torch.zeros(samples), torch.zeros(3, 4, 2), torch.ones(3, 4))
    with pytest.raises(ValueError, match="do not fit"):
        evaluate.energy_score(torch.zeros(5, 3, 4, 2), torch.zeros(3, 4, 2), torch.ones(3, 4, 2))


# ---------------------------------------------------------------- intervals


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    hits = 0
    for seed in range(300):
        _, low, high = evaluate.bootstrap_interval(
            random.normal(1.0, 2.0, size=60), resamples=400, seed=seed
        )
        hits += low <= 1.0 <= high
    assert 0.90 <= hits / 300 <= 0.985


def test_frames_of_one_episode_are_no_independent_trials():
    random = np.random.default_rng(0)
    covered = {"frames": 0, "episodes": 0}
    for seed in range(150):
        episodes = np.repeat(np.arange(30), 20)
        values = random.normal(size=30)[episodes] + 0.1 * random.normal(size=600)
        for name, groups in [("frames", None), ("episodes", episodes)]:
            mean, low, high = evaluate.bootstrap_interval(values, groups, resamples=400, seed=seed)
            assert mean == pytest.approx(values.mean()) and low <= mean <= high
            covered[name] += low <= 0 <= high
    assert covered["episodes"] >= 0.88 * 150 and covered["frames"] < 0.6 * 150


def test_groups_of_unequal_length_and_any_label_weigh_by_their_frames():
    values = [1.0, 1.0, 1.0, 5.0]
    mean, low, high = evaluate.bootstrap_interval(values, ["a", "a", "a", "b"])
    assert (mean, low, high) == (2.0, 1.0, 5.0)


def test_the_interval_repeats_with_its_seed_and_widens_with_its_level():
    values = np.random.default_rng(1).normal(size=40)
    assert evaluate.bootstrap_interval(values, seed=3) == evaluate.bootstrap_interval(
        values, seed=3
    )
    _, low, high = evaluate.bootstrap_interval(values)
    _, lower, higher = evaluate.bootstrap_interval(values, level=0.99)
    assert lower < low < high < higher


@pytest.mark.parametrize(("values", "groups"), [([], None), ([1.0, 2.0], [0])])
def test_values_and_groups_must_match(values, groups):
    with pytest.raises(ValueError, match="all must be equally many, and at least one"):
        evaluate.bootstrap_interval(values, groups)


# ---------------------------------------------------------------- success rates


@dataclass
class Outcome:
    task: str
    seed: int
    success: bool


def outcomes(*successes, task="Wall", first=0) -> list[Outcome]:
    return [Outcome(task, first + i, bool(s)) for i, s in enumerate(successes)]


def coverage(n: int, rate: float, method: str) -> float:
    """How often the interval holds the true rate, exactly."""
    held = 0.0
    for k in range(n + 1):
        _, low, high = evaluate.success_interval(k, n, method)
        held += stats.binom.pmf(k, n, rate) * (low <= rate <= high)
    return held


def test_success_intervals_cover_as_they_promise():
    rates = np.linspace(0.02, 0.98, 25)
    assert min(coverage(20, rate, "exact") for rate in rates) >= 0.95
    assert np.mean([coverage(20, rate, "wilson") for rate in rates]) == pytest.approx(
        0.95, abs=0.01
    )


def test_success_intervals_are_the_known_ones():
    rate, low, high = evaluate.success_interval(85, 100)
    z = stats.norm.ppf(0.975)
    middle = (0.85 + z * z / 200) / (1 + z * z / 100)
    half = z * math.sqrt(0.85 * 0.15 / 100 + z * z / 40000) / (1 + z * z / 100)
    assert (rate, low, high) == pytest.approx((0.85, middle - half, middle + half))
    _, low, high = evaluate.success_interval(10, 10, "exact")
    assert (low, high) == pytest.approx((0.025 ** (1 / 10), 1))
    with pytest.raises(ValueError, match="11 successes in 10 trials"):
        evaluate.success_interval(11, 10)


def test_the_paired_interval_is_tangos():
    """Fagerland, Lydersen & Laake (Statistics in Medicine 33, 2014) print it for 1, 7 of 21."""
    difference, low, high = evaluate.paired_interval(1, 7, 21)
    assert difference == pytest.approx(-6 / 21)
    assert (low, high) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert evaluate.paired_interval(7, 1, 21)[1:] == pytest.approx((-high, -low))


@pytest.mark.parametrize(("n", "a", "b"), [(20, 0.2, 0.1), (20, 0.05, 0.05), (40, 0.3, 0.05)])
def test_the_paired_interval_covers_as_it_promises(n, a, b):
    held = 0.0
    for only_a in range(n + 1):
        for only_b in range(n + 1 - only_a):
            _, low, high = evaluate.paired_interval(only_a, only_b, n)
            chance = stats.multinomial.pmf(
                [only_a, only_b, n - only_a - only_b], n, [a, b, 1 - a - b]
            )
            held += chance * (low <= a - b <= high)
    assert 0.94 <= held <= 0.99


@pytest.mark.parametrize("counts", [(0, 0, 10), (10, 0, 10), (0, 10, 10), (0, 1, 1), (3, 3, 6)])
def test_the_paired_interval_has_a_width_at_the_edges_too(counts):
    difference, low, high = evaluate.paired_interval(*counts)
    assert -1 <= low <= difference <= high <= 1 and high - low > 0.3
    with pytest.raises(ValueError, match="not possible"):
        evaluate.paired_interval(6, 6, 10)


def test_policies_are_compared_start_by_start():
    a, b = outcomes(1, 1, 1, 0, 1, 0, 1, 1), outcomes(0, 0, 1, 0, 1, 1, 0, 0)
    found = evaluate.compare(a, list(reversed(b)))
    assert (found.n, found.both, found.only_a, found.only_b, found.neither) == (8, 2, 4, 1, 1)
    assert (found.difference, found.low, found.high) == evaluate.paired_interval(4, 1, 8)
    assert found.p == pytest.approx(
        2 * (1 + 5) / 2**5
    )  # one of five or fewer, or as many the other way
    assert evaluate.compare(a, a).p == 1 and evaluate.compare(a, a).difference == 0


def test_only_shared_starts_are_compared():
    a = outcomes(1, 1, 0) + outcomes(1, task="Door")
    b = outcomes(0, 1, first=1) + outcomes(0, task="Window")
    assert evaluate.compare(a, b).n == 2
    with pytest.raises(ValueError, match="share no task and seed"):
        evaluate.compare(a, outcomes(1, task="Window"))
    with pytest.raises(ValueError, match="twice"):
        evaluate.compare(a + a, b)
