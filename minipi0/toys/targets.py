"""2-D targets whose velocity is known in closed form, and an obstacle to drive around.

Time is the paper's: tau = 0 is noise, tau = 1 is data.
Axes: B batch, D dims of a point (for the obstacle's chunks 16 way-points x 2), K components of a
mixture, T way-points of a path.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """K round Gaussians of one width, and the exact velocity that leads from N(0, I) to them.

    means: float[K, D], anything torch.as_tensor takes.
    std: > 0, the same for all components.
    weights: float[K], by default equal; normalised to sum 1.
    All are kept as float64. Raises ValueError for other shapes, std <= 0, negative or all-zero
    weights, non-finite numbers.

    Given component k, the data A and the point A^tau = tau A + (1 - tau) eps are jointly Gaussian.
    The variance of A^tau is s^2 = tau^2 std^2 + (1 - tau)^2, and the usual conditioning gives

        E[A - eps | x, k] = mean_k + (tau std^2 - (1 - tau)) / s^2 * (x - tau mean_k)
        Var[A - eps | x, k] = std^2 / s^2 per dim.
    """

    means: Tensor
    std: float
    weights: Tensor | None = None

    def __post_init__(self):
        means = torch.as_tensor(self.means, dtype=torch.float64).detach().cpu()
        if means.ndim != 2 or 0 in means.shape or not torch.isfinite(means).all():
            shape = tuple(means.shape)
            raise ValueError(f"means must be finite numbers of shape (K, D), got shape {shape}")
        std = float(self.std)
        if not 0 < std < float("inf"):
            raise ValueError(f"std must be a positive number, got {std:g}")
        weights = torch.ones(len(means)) if self.weights is None else torch.as_tensor(self.weights)
        weights = weights.detach().double().cpu()
        if weights.shape != means.shape[:1]:
            raise ValueError(
                f"weights have shape {tuple(weights.shape)}, expected ({len(means)},), one per mean"
            )
        if not torch.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
            raise ValueError(
                f"weights must be finite, not negative, and not all zero, got {weights.tolist()}"
            )
        for name, value in (("means", means), ("std", std), ("weights", weights / weights.sum())):
            object.__setattr__(self, name, value)

    @property
    def mean(self) -> Tensor:
        """The mean of the whole mixture, float64[D]."""
        return self.weights @ self.means

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n points, float32[n, D], on the CPU. Raises ValueError for n < 1."""
        if n < 1:
            raise ValueError(f"cannot draw {n} samples")
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64)
        return (self.means[which] + self.std * noise).float()

    def velocity(self, x: Tensor, tau: Tensor | float) -> Tensor:
        """The exact marginal velocity E[A - eps | A^tau = x]: a perfect network predicts it.

        x: float[B, D].
        tau: a number, float[] or float[B], in [0, 1].
        Returns float[B, D] in x's dtype, computed in float64. Raises ValueError for other shapes,
        tau outside [0, 1], non-finite input.
        """
        share, velocity, _ = self._components(x, tau)
        return (share[..., None] * velocity).sum(1).to(x.dtype)

    def noise(self, x: Tensor, alpha_bar: Tensor | float) -> Tensor:
        """The exact noise E[eps | x] at a diffusion's point x = a A + s eps, a^2 = alpha_bar.

        s^2 = 1 - alpha_bar. Given component k, x has the mean a mean_k and the variance
        a^2 std^2 + s^2, so that E[eps | x, k] = s (x - a mean_k) / (a^2 std^2 + s^2).

        x: float[B, D]. alpha_bar: a number, in [0, 1).
        Returns float[B, D] in x's dtype, computed in float64.
        """
        alpha_bar = torch.as_tensor(alpha_bar, dtype=torch.float64)
        a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        offset = x.double()[:, None] - a * self.means  # (B, K, D)
        variance = alpha_bar * self.std**2 + s**2
        share = torch.softmax(self.weights.log() - (offset**2).sum(-1) / (2 * variance), dim=1)
        return (s / variance * (share[..., None] * offset).sum(1)).to(x.dtype)

    def target_variance(self, x: Tensor, tau: Tensor | float) -> Tensor:
        """The trace of Cov[A - eps | A^tau = x]: the squared error that every network keeps at x.

        x, tau: as for `velocity`.
        Returns float[B] in x's dtype, summed over the D dims. (flow.loss averages over them: divide
        by D.)
        """
        share, velocity, within = self._components(x, tau)
        mean = (share[..., None] * velocity).sum(1, keepdim=True)
        between = (share * ((velocity - mean) ** 2).sum(-1)).sum(1)  # the components disagree
        return (x.shape[1] * within + between).to(x.dtype)

    def posterior(self, x: Tensor, tau: Tensor | float) -> Tensor:
        """P(component k | A^tau = x): the components in which a point at x may still end.

        x, tau: as for `velocity`. Returns float64[B, K].
        """
        return self._components(x, tau)[0]

    def log_density(self, x: Tensor, tau: Tensor | float) -> Tensor:
        """log p(A^tau = x): the density of the data at tau = 1, of the noise at tau = 0.

        x, tau: as for `velocity`. Returns float64[B].
        """
        tau, variance, offset = self._offsets(x, tau)
        variance = variance[..., None]
        log_peak = (
            self.weights.to(x.device).log() - x.shape[1] / 2 * (2 * torch.pi * variance).log()
        )
        return torch.logsumexp(log_peak - (offset**2).sum(-1) / (2 * variance), dim=1)

    def occupancy(self, x: Tensor, radius: float = 3.0) -> Tensor:
        """The share of the points x that lie within `radius` std of each mean.

        x: float[B, D]. Returns float64[K]. In 2-D, 98.9 % of true samples lie within 3 std.
        """
        near = torch.cdist(x.double().cpu(), self.means) < radius * self.std
        return near.double().mean(0)

    def modes_found(self, x: Tensor) -> int:
        """How many components got at least a quarter of the samples that are due to them.

        x: float[B, D].
        """
        return int((self.occupancy(x) >= self.weights / 4).sum())

    def _components(self, x: Tensor, tau: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Per component: posterior share (B, K), velocity (B, K, D), variance per dim."""
        tau, variance, offset = self._offsets(x, tau)
        log_density = -(offset**2).sum(-1) / (2 * variance[..., None])  # but for a constant
        share = torch.softmax(self.weights.to(x.device).log() + log_density, dim=1)
        slope = (tau * self.std**2 - (1 - tau)) / variance
        velocity = self.means.to(x.device) + slope[..., None, None] * offset
        return share, velocity, self.std**2 / variance

    def _offsets(self, x: Tensor, tau: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Checked and in float64: tau and s^2, () or (B,), and x - tau mean_k, (B, K, D)."""
        if x.ndim != 2 or x.shape[1] != self.means.shape[1]:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {self.means.shape[1]})")
        if not x.is_floating_point() or not torch.isfinite(x).all():
            raise ValueError("x must hold finite floating-point numbers")
        tau = torch.as_tensor(tau, dtype=torch.float64, device=x.device)
        if tau.ndim > 1 or (tau.ndim == 1 and len(tau) != len(x)):
            raise ValueError(f"tau has shape {tuple(tau.shape)}, expected a scalar or ({len(x)},)")
        if not ((tau >= 0) & (tau <= 1)).all():
            raise ValueError("tau must lie in [0, 1]: 0 is noise, 1 is data")
        offset = x.double()[:, None] - tau[..., None, None] * self.means.to(x.device)
        return tau, tau**2 * self.std**2 + (1 - tau) ** 2, offset


def ring(modes: int = 8, radius: float = 2.0, std: float = 0.15) -> GaussianMixture:
    """`modes` Gaussians, evenly spaced on a circle.

    Their mean is the empty centre: no sample should ever be there.
    """
    if modes < 1:
        raise ValueError(f"a ring needs at least one mode, not {modes}")
    angle = torch.arange(modes, dtype=torch.float64) * (2 * torch.pi / modes)
    return GaussianMixture(radius * torch.stack([angle.cos(), angle.sin()], 1), std)


def two_moons(points: int = 16, std: float = 0.12) -> GaussianMixture:
    """Two interleaved half circles, as `points` Gaussians along each, centred on the origin."""
    if points < 2:
        raise ValueError(f"a moon needs at least two points, not {points}")
    angle = torch.linspace(0, torch.pi, points, dtype=torch.float64)
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    return GaussianMixture(1.5 * torch.cat([upper, -upper]), std)


def obstacle_points(points: int = 7, std: float = 0.12) -> GaussianMixture:
    """Where `obstacle`'s demonstrations pass the disc: a band of points on its left, one right."""
    if points < 2:
        raise ValueError(f"a band needs at least two points, not {points}")
    x = torch.linspace(-1, 1, points, dtype=torch.float64)
    y = 0.85 * torch.cos(torch.pi / 4 * x)
    return GaussianMixture(torch.cat([torch.stack([x, y], 1), torch.stack([x, -y], 1)]), std)


def obstacle_chunks(demonstrations: int = 100, std: float = 0.05, seed: int = 0) -> GaussianMixture:
    """Whole chunks around `obstacle`, 32 numbers each: demonstrations, each a little blurred.

    Its velocity is a perfect policy's, known without training.

    demonstrations: how many. std: of the blur. seed: of the demonstrations.
    """
    chunks = obstacle.demonstrations(demonstrations, torch.Generator().manual_seed(seed))
    return GaussianMixture(chunks.flatten(1), std)


@dataclass(frozen=True)
class Obstacle:
    """A disc at the origin, between a start at x = -2 and a goal at x = 2.

    A path is a chunk of way-points, (B, 16, 2). Half of the demonstrations pass with the disc on
    their right hand (they pass "left", y > 0), half on the other side. Both sides are good; the
    average of two sides is not.
    """

    radius: float = 0.4
    clearance: float = 0.15  # demonstrations stay at least this far from the disc
    start: tuple[float, float] = (-2.0, 0.0)
    goal: tuple[float, float] = (2.0, 0.0)
    horizon: int = 16

    def demonstrations(
        self, n: int, generator: torch.Generator | None = None, left_closed: Tensor | None = None
    ) -> Tensor:
        """n demonstrated paths from start to goal, float32[n, 16, 2].

        Each is a sine arch of random height and lean, on a random side.
        left_closed: bool[n], the observation of the conditional task. Where it is true, only the
            right side is demonstrated: one good answer instead of two.
        Raises ValueError for n < 1 or another shape.
        """
        if n < 1:
            raise ValueError(f"cannot draw {n} demonstrations")
        if left_closed is not None and left_closed.shape != (n,):
            raise ValueError(
                f"left_closed has shape {tuple(left_closed.shape)}, expected ({n},), "
                "one per demonstration"
            )
        side, height, lean = torch.rand(3, n, 1, generator=generator, dtype=torch.float64)
        side = torch.where(side < 0.5, 1.0, -1.0)
        if left_closed is not None:
            side = torch.where(left_closed.bool()[:, None], -1.0, side)
        # the lowest arch passes the centre at 0.7 * cos(0.075 pi) = 0.68
        height, lean = 0.7 + 0.4 * height, 0.6 * lean - 0.3
        s = torch.linspace(0, 1, self.horizon, dtype=torch.float64)
        y = side * height * torch.sin(torch.pi * (s + lean * s * (1 - s)))
        start, goal = torch.tensor([self.start, self.goal], dtype=torch.float64)
        line = start + s[:, None] * (goal - start)
        return torch.stack([line[:, 0].expand(n, -1), line[:, 1] + y], -1).float()

    def distance(self, paths: Tensor) -> Tensor:
        """How close each path gets to the disc's centre, its segments included.

        paths: float[B, T, 2], T >= 2. Returns float[B].
        """
        return self._closest(paths).norm(dim=-1)

    def collides(self, paths: Tensor) -> Tensor:
        """Whether any segment of a path enters the disc. Way-points alone could step over it.

        paths: float[B, T, 2]. Returns bool[B].
        """
        return self.distance(paths) < self.radius

    def side(self, paths: Tensor) -> Tensor:
        """+1 for paths that pass on the left (y > 0 where they are closest to the centre), else -1.

        paths: float[B, T, 2]. Returns int64[B].
        """
        return torch.where(self._closest(paths)[:, 1] > 0, 1, -1)

    def _closest(self, paths: Tensor) -> Tensor:
        """The point of each path's polyline that is closest to the origin, (B, 2)."""
        if paths.ndim != 3 or paths.shape[1] < 2 or paths.shape[2] != 2:
            raise ValueError(
                f"paths have shape {tuple(paths.shape)}, expected (B, T, 2) "
                "with at least two way-points"
            )
        if not torch.isfinite(paths).all():
            raise ValueError("paths hold a NaN or an infinity")
        a, d = paths[:, :-1], paths.diff(dim=1)  # (B, T-1, 2)
        along = (-(a * d).sum(-1) / (d**2).sum(-1).clamp(min=1e-12)).clamp(0, 1)
        points = a + along[..., None] * d
        best = points.norm(dim=-1).argmin(1)
        return points[torch.arange(len(paths), device=paths.device), best]


obstacle = Obstacle()
