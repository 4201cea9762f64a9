"""How good is it? Scores of samples and of action chunks.

    python -m minipi0.evaluate --checkpoint DIR --tasks Wall --trials 100 --out results.json

runs a policy in the simulator, see `robot/trials.py`. How sure a number is, say `intervals`, whose
names can be had here too.
Axes: M samples per item, B items, H action horizon, D action dims.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from minipi0.intervals import (  # noqa: F401 (to be had here too)
    Comparison,
    bootstrap_interval,
    bootstrap_ratio,
    compare,
    over_seeds,
    paired_interval,
    success_interval,
)


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
    dataset: dims that are padded are left out.
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
        if mask.ndim == 3:  # without the padded dims
            real = mask.any(dim=(0, 1))
            sampled, demonstrated = sampled[..., real], demonstrated[..., real]
            mask = mask.any(dim=-1)
        chunks.append(sampled.unflatten(0, (len(part), samples)).transpose(0, 1))
        actions.append(demonstrated)
        masks.append(mask)
    drawn, demonstrated = torch.cat(chunks, dim=1), torch.cat(actions)
    return OpenLoop(drawn, demonstrated, torch.cat(masks), dataset.episode_index[indices])


if __name__ == "__main__":
    from minipi0.robot.trials import main

    main()
