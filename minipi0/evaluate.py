"""How good is it? Scores of samples and action chunks, success rates, and how sure each of them is.

    python -m minipi0.evaluate --checkpoint DIR --tasks Wall --trials 100 --out results.json

runs a policy in the simulator, see `robot/trials.py`, and counts with what stands here.
Axes: M samples per item, B items, H action horizon, D action dims.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize, stats
from torch import Tensor


def energy_distance(x: Tensor, y: Tensor) -> float:
    """How far two clouds of points are apart (Szekely & Rizzo, 2013).

    It is 2 E|x - y| - E|x - x'| - E|y - y'|, Euclidean, without a square root: never negative, and
    0 for equal clouds. In 1-D it is the square of scipy.stats.energy_distance. Two fresh samples of
    one distribution do not reach 0: their floor is about E|x - x'| (1/N + 1/M), since the self
    terms count |x_i - x_i| = 0.

    x: float[N, D]; y: float[M, D]. Raises ValueError for other shapes.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ValueError(
            f"expected points (N, D) and (M, D), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    x, y = x.double(), y.double()

    def mean_distance(a, b):
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").mean()

    return (2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)).item()


def energy_score(samples: Tensor, actions: Tensor, mask: Tensor) -> Tensor:
    """How well sampled action chunks forecast the demonstrated one: lower is better.

    A proper score: in expectation the true distribution has the lowest (Gneiting & Raftery, 2007,
    eq. 21). Per item: mean_i |y_i - a| - 1/2 mean_{i != j} |y_i - y_j|, where |.| is the root mean
    square over real entries.

    samples: float[M, B, H, D], M >= 1; a single sample, a point forecast, has no second term.
    actions: float[B, H, D]. mask: bool[B, H], True where the step is real.
    Returns float64[B], NaN for items without a single real step.
    Raises ValueError for mismatched shapes.
    """
    if samples.shape[1:] != actions.shape or mask.shape != actions.shape[:2]:
        raise ValueError(
            f"samples (M, B, H, D), actions (B, H, D) and mask (B, H) do not fit: "
            f"{tuple(samples.shape)}, {tuple(actions.shape)}, {tuple(mask.shape)}"
        )
    m, _, _, d = samples.shape
    real = mask.bool()[..., None]  # (B, H, 1)
    count = real.sum(dim=(1, 2)).double() * d  # (B,)
    flat = (samples.double() - actions.double()).masked_fill(~real, 0)
    flat = flat.flatten(2).transpose(0, 1)  # (B, M, H*D), the demonstration at 0
    to_demo = flat.norm(dim=-1).mean(dim=1)  # (B,)
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    between = distances.sum(dim=(1, 2)) / max(m * (m - 1), 1)
    return (to_demo - between / 2) / count.sqrt()


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


# ---- action chunks -----------------------------------------------------------------------------


@dataclass
class OpenLoop:
    """Predicted chunks beside the demonstrated ones, normalised.

    samples: float[M, B, H, D]. actions: float[B, H, D]. mask: bool[B, H]. episode: int[B].
    """

    samples: Tensor
    actions: Tensor
    mask: Tensor
    episode: Tensor

    def energy(self, dims=slice(None)) -> Tensor:
        """The energy score per item, [B], of the action dims `dims` (a list or a slice)."""
        return energy_score(self.samples[..., dims], self.actions[..., dims], self.mask)

    def squared_error(self) -> Tensor:
        """The mean squared error per item, [B], of a single sample: what rewards the mean."""
        return self._squared(self.samples).mean(0)

    def squared_error_of_mean(self) -> Tensor:
        """The same for the mean of the samples."""
        return self._squared(self.samples.mean(0))

    def share_between(self, dim: int, low: float, high: float) -> Tensor:
        """The share of sampled real steps per item, [B], whose action `dim` lies between.

        low, high: normalised values, themselves not between.
        """
        values = self.samples[..., dim]
        inside = ((values > low) & (values < high)).double().mean(0)  # (B, H)
        return (inside * self.mask).sum(1) / self.mask.sum(1)

    def interval(self, values: Tensor | None = None, **kwargs) -> tuple[float, float, float]:
        """Mean and bootstrap interval over episodes.

        values: [B], by default the energy score. kwargs: as of `bootstrap_interval`.
        """
        values = self.energy() if values is None else values
        return bootstrap_interval(values, self.episode, **kwargs)

    def _squared(self, predicted: Tensor) -> Tensor:
        error = ((predicted - self.actions) ** 2).mean(-1)  # (…, B, H)
        return (error * self.mask).sum(-1) / self.mask.sum(-1)


def spread(dataset, n: int) -> Tensor:
    """n items of a data set, evenly spaced, so that every episode gives some.

    Returns their indices, int64[n], or all where there are fewer.
    """
    return torch.linspace(0, len(dataset) - 1, min(n, len(dataset))).round().long().unique()


def open_loop(
    model,
    dataset,
    indices: Tensor,
    samples: int = 16,
    steps: int = 10,
    seed: int = 0,
    batch_size: int = 512,
) -> OpenLoop:
    """Sample action chunks for recorded observations; nothing is fed back.

    model: a Pi0, or any module with sample_actions(observation, steps=…, generator=…).
    indices: int[B], the data set's items. samples: M, chunks for each of them.
    batch_size: observations times samples.
    """
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    chunks, actions, masks = [], [], []
    for part in torch.as_tensor(indices).split(max(batch_size // samples, 1)):
        observation, demonstrated, mask = dataset.batch(part)
        repeated = torch.arange(len(part)).repeat_interleave(samples)
        sampled = model.sample_actions(
            observation[repeated].to(device), steps=steps, generator=generator
        ).cpu()
        chunks.append(sampled.unflatten(0, (len(part), samples)).transpose(0, 1))
        actions.append(demonstrated)
        masks.append(mask)
    drawn, demonstrated = torch.cat(chunks, dim=1), torch.cat(actions)
    return OpenLoop(drawn, demonstrated, torch.cat(masks), dataset.episode_index[indices])


if __name__ == "__main__":
    from minipi0.robot.trials import main

    main()
