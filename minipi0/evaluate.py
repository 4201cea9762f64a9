"""How good is a set of samples? Energy distance between clouds, energy score of predicted action chunks, intervals.

Axes: M samples per item, B items, H action horizon, D action dims.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|x - y| - E|x - x'| - E|y - y'| between two clouds, Euclidean, no square root (Szekely & Rizzo, 2013).

    x: (N, D), y: (M, D). Never negative, 0 for equal clouds (in 1-D the square of scipy.stats.energy_distance). Two fresh samples
    of one distribution do not reach 0: their floor is about E|x - x'| (1/N + 1/M), since the self terms count |x_i - x_i| = 0.
    Raises ValueError for other shapes.
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
    """Energy score of sampled action chunks, a proper score: lower is better, in expectation lowest for the true distribution
    (Gneiting & Raftery, 2007, eq. 21).

    Per item: mean_i |y_i - a| - 1/2 mean_{i != j} |y_i - y_j|, where |.| is the root mean square over real entries.
    samples: (M, B, H, D), M >= 1 (a single sample, a point forecast, has no second term). actions: (B, H, D).
    mask: (B, H), True where the step is real. Returns (B,) float64, NaN for items without a single real step.
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
    flat = (
        (samples.double() - actions.double()).masked_fill(~real, 0).flatten(2).transpose(0, 1)
    )  # (B, M, H*D), the demonstration at 0
    to_demo = flat.norm(dim=-1).mean(dim=1)  # (B,)
    between = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").sum(
        dim=(1, 2)
    ) / max(m * (m - 1), 1)
    return (to_demo - between / 2) / count.sqrt()


def bootstrap_interval(
    values, groups=None, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of `values` (N,) and its percentile-bootstrap interval, resampling whole `groups` (N,), for instance episodes:
    the frames of one episode are no independent trials. Returns (mean, low, high). Raises ValueError for unequal or zero lengths."""
    return bootstrap_ratio(values, np.ones(len(values)), groups, level, resamples, seed)


def bootstrap_ratio(
    values, others, groups=None, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Ratio of the means of `values` (N,) and `others` (N,), measured on the same N items, and its bootstrap interval over whole
    `groups` (N,). What makes an item hard is in both, so the ratio is surer than the two means. Returns (ratio, low, high)."""
    values, others = np.asarray(values, dtype=float), np.asarray(others, dtype=float)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    if not 0 < len(values) == len(others) == len(groups):
        raise ValueError(
            f"{len(values)} values, {len(others)} others and {len(groups)} groups: all must be equally many, and at least one"
        )
    _, index = np.unique(groups, return_inverse=True)
    above, below = np.bincount(index, values), np.bincount(index, others)
    draws = np.random.default_rng(seed).integers(len(above), size=(resamples, len(above)))
    ratios = above[draws].sum(1) / below[draws].sum(1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(values.sum() / others.sum()), float(low), float(high)


def over_seeds(values) -> tuple[float, float]:
    """Mean of a few independent runs, at least two, and the half-width of its 95 % interval (Student's t)."""
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    if len(values) < 2:
        raise ValueError("one run has no interval: give the values of at least two")
    return values.mean().item(), (
        stats.t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
    ).item()


@dataclass
class OpenLoop:
    """Predicted chunks beside the demonstrated ones: samples (M, B, H, D), actions (B, H, D), mask (B, H), episode (B,). Normalised."""

    samples: Tensor
    actions: Tensor
    mask: Tensor
    episode: Tensor

    def energy(self, dims=slice(None)) -> Tensor:
        """Energy score per item, (B,), of the action dims `dims` (a list or a slice)."""
        return energy_score(self.samples[..., dims], self.actions[..., dims], self.mask)

    def squared_error(self) -> Tensor:
        """Mean squared error per item, (B,), of a single sample: what rewards the mean."""
        return self._squared(self.samples).mean(0)

    def squared_error_of_mean(self) -> Tensor:
        """The same for the mean of the samples."""
        return self._squared(self.samples.mean(0))

    def share_between(self, dim: int, low: float, high: float) -> Tensor:
        """Share of sampled real steps per item, (B,), whose action `dim` lies strictly between two normalised values."""
        inside = (
            ((self.samples[..., dim] > low) & (self.samples[..., dim] < high)).double().mean(0)
        )  # (B, H)
        return (inside * self.mask).sum(1) / self.mask.sum(1)

    def interval(self, values: Tensor | None = None, **kwargs) -> tuple[float, float, float]:
        """Mean and bootstrap interval over episodes of a value per item, by default the energy score."""
        return bootstrap_interval(
            self.energy() if values is None else values, self.episode, **kwargs
        )

    def _squared(self, predicted: Tensor) -> Tensor:
        error = ((predicted - self.actions) ** 2).mean(-1)  # (…, B, H)
        return (error * self.mask).sum(-1) / self.mask.sum(-1)


def spread(dataset, n: int) -> Tensor:
    """n items of a data set (all, if it has fewer), evenly spaced, so that every episode gives some: their indices, int64."""
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
    """Sample action chunks for recorded observations, nothing fed back: `samples` chunks for each of the items `indices`.

    model: a Pi0 or any module with sample_actions(observation, steps=…, generator=…). batch_size counts observations times samples.
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
    return OpenLoop(
        torch.cat(chunks, dim=1),
        torch.cat(actions),
        torch.cat(masks),
        dataset.episode_index[indices],
    )
