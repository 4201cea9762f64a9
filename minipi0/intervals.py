"""How sure is a number? Intervals for means, for success rates, and for differences.

What makes items alike (frames of one episode, the same starting scene) is respected: episodes are
drawn whole, policies are compared scene by scene.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize, stats


def bootstrap_interval(
    values, groups=None, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """A mean and its percentile-bootstrap interval.

    values: float[N]. groups: [N], resampled whole, for instance episodes: the frames of one episode
        are no independent trials.
    Returns (mean, low, high). Raises ValueError for unequal or zero lengths.
    """
    return bootstrap_ratio(values, np.ones(len(values)), groups, level, resamples, seed)


def bootstrap_ratio(
    values, others, groups=None, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """The ratio of two means, measured on the same items, and its bootstrap interval.

    What makes an item hard is in both, so the ratio is surer than the two means.

    values, others: float[N]. groups: as of `bootstrap_interval`. Returns (ratio, low, high).
    """
    values, others = np.asarray(values, dtype=float), np.asarray(others, dtype=float)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    if not 0 < len(values) == len(others) == len(groups):
        raise ValueError(
            f"{len(values)} values, {len(others)} others and {len(groups)} groups: all must be "
            "equally many, and at least one"
        )
    _, index = np.unique(groups, return_inverse=True)
    above, below = np.bincount(index, values), np.bincount(index, others)
    draws = np.random.default_rng(seed).integers(len(above), size=(resamples, len(above)))
    ratios = above[draws].sum(1) / below[draws].sum(1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(values.sum() / others.sum()), float(low), float(high)


def over_seeds(values) -> tuple[float, float]:
    """The mean of a few independent runs and the half-width of its 95 % interval (Student's t).

    Raises ValueError for fewer than two.
    """
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    if len(values) < 2:
        raise ValueError("one run has no interval: give the values of at least two")
    half = stats.t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
    return values.mean().item(), half.item()


# ---- success rates -----------------------------------------------------------------------------


def success_interval(
    successes: int, trials: int, method: str = "wilson", level: float = 0.95
) -> tuple[float, float, float]:
    """A success rate and its interval (scipy's).

    method: "wilson", whose coverage is near `level` on average, or "exact" (Clopper-Pearson), whose
        coverage is never below it, so it is wider.
    Returns (rate, low, high).
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(
            f"{successes} successes in {trials} trials: expected 0 … trials, from 1 on"
        )
    result = stats.binomtest(successes, trials).proportion_ci(level, method)
    return successes / trials, float(result.low), float(result.high)


def paired_interval(only_a: int, only_b: int, n: int, level: float = 0.95):
    """The difference of two success rates on the same n starts, and Tango's score interval.

    Only starts where one of the two succeeds tell a difference. The interval holds all differences
    that a score test does not reject (Tango, Statistics in Medicine 17, 1998); unlike the usual one
    it keeps its coverage for few trials, and has a width where the two never differ.

    only_a, only_b: starts where only the first, only the second succeeds.
    Returns (rate a - rate b, low, high).
    """
    if min(only_a, only_b) < 0 or only_a + only_b > n or n < 1:
        raise ValueError(f"{only_a} and {only_b} of {n} starts differ: that is not possible")
    z = stats.norm.ppf((1 + level) / 2)

    def excess(difference: float) -> float:  # of the score over z, both squared and times variance
        # q: the likeliest share of "only b", were this the true difference
        b = (2 * n - only_a + only_b) * difference - only_a - only_b
        c = -only_b * difference * (1 - difference)
        q = (math.sqrt(max(b * b - 8 * n * c, 0)) - b) / (4 * n)
        variance = n * (2 * q + difference * (1 - difference))
        return (only_a - only_b - n * difference) ** 2 - z * z * variance

    middle, inside = (only_a - only_b) / n, 1e-9  # at the middle itself the variance may be 0
    low = -1.0 if middle == -1 else optimize.brentq(excess, -1, middle - inside)
    high = 1.0 if middle == 1 else optimize.brentq(excess, middle + inside, 1)
    return middle, low, high


@dataclass(frozen=True)
class Comparison:
    """Two policies on the same starts.

    n: starts. both, only_a, only_b, neither: how many of them which policy succeeds at.
    difference, low, high: of the success rates, a - b, by `paired_interval`.
    p: McNemar's exact test of equal rates: how often chance alone splits the deciding starts so.
    """

    n: int
    both: int
    only_a: int
    only_b: int
    neither: int
    difference: float
    low: float
    high: float
    p: float


def compare(a, b, level: float = 0.95) -> Comparison:
    """Two lists of trials, paired by task and seed: anything with `task`, `seed` and `success`.

    Trials that only one list has are left out. Raises ValueError where they share none, and where a
    list holds a trial twice.
    """
    found = []
    for trials in (a, b):
        by_start = {(trial.task, trial.seed): bool(trial.success) for trial in trials}
        if len(by_start) < len(trials):
            raise ValueError("a list of trials holds the same task and seed twice")
        found.append(by_start)
    shared = found[0].keys() & found[1].keys()
    if not shared:
        raise ValueError("the two share no task and seed, so nothing is paired")
    pairs = [(found[0][start], found[1][start]) for start in shared]
    both, only_a, only_b = (pairs.count(p) for p in ((True, True), (True, False), (False, True)))
    deciding = only_a + only_b
    p = stats.binomtest(only_a, deciding).pvalue if deciding else 1.0
    interval = paired_interval(only_a, only_b, len(pairs), level)
    return Comparison(
        len(pairs), both, only_a, only_b, len(pairs) - both - deciding, *interval, float(p)
    )
