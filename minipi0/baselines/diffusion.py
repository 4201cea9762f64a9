"""Diffusion and flow matching, one family: a noise schedule, noise to velocity and back, the steps.

A diffusion's point is x = a A + s eps, where a^2 + s^2 = 1 keeps its variance. Divide it by a + s:

    x / (a + s) = tau A + (1 - tau) eps        with tau = a / (a + s)

That is a point of flow matching's line. So whoever predicts the noise eps there also predicts the
velocity A - eps, and a step of DDIM is a step of Euler's: `notebook 08` shows both to 1e-5.

Here alpha_bar = a^2, as in most papers, from 1 (no noise) to nearly 0.
Every number may also be a tensor that broadcasts.
"""

import math

import torch
from torch import Tensor

Number = Tensor | float


def cosine_schedule(steps: int = 20, offset: float = 0.008) -> Tensor:
    """alpha_bar after 1, 2, …, `steps` steps of noise (Nichol & Dhariwal, arXiv 2102.09672).

    No step keeps less than a thousandth of the power, so the last value is not 0.
    Returns float64[steps], falling. Raises ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, not {steps}")
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    power = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    kept = (power[1:] / power[:-1]).clamp(min=0.001)
    return kept.cumprod(0)


def amplitudes(alpha_bar: Number) -> tuple[Tensor, Tensor]:
    """a and s: how much of the action and of the noise a diffusion's point holds."""
    alpha_bar = torch.as_tensor(alpha_bar, dtype=torch.float64)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def clock(alpha_bar: Number) -> tuple[Tensor, Tensor]:
    """Where flow matching stands: tau, and the factor 1 / (a + s) that takes x onto its line."""
    a, s = amplitudes(alpha_bar)
    return a / (a + s), 1 / (a + s)


def alpha_bar_of(tau: Number) -> Tensor:
    """The inverse of `clock`: the diffusion's alpha_bar that has flow matching's tau."""
    tau = torch.as_tensor(tau, dtype=torch.float64)
    return tau**2 / (tau**2 + (1 - tau) ** 2)


def signal_to_noise(tau: Number) -> Tensor:
    """Power of the action over power of the noise at tau, for actions of variance 1."""
    tau = torch.as_tensor(tau, dtype=torch.float64)
    return (tau / (1 - tau)) ** 2


def velocity_from_noise(noise: Tensor, point: Tensor, tau: Number) -> Tensor:
    """E[A - eps], from a prediction of the noise at a point of flow matching's line, tau > 0.

    An error of the noise is divided by tau: near pure noise this is no path to a good velocity.
    """
    return (point - noise) / tau


def noise_from_velocity(velocity: Tensor, point: Tensor, tau: Number) -> Tensor:
    """E[eps], from a prediction of the velocity at a point of flow matching's line."""
    return point - tau * velocity


def noise_within(x: Tensor, noise: Tensor, alpha_bar: Number, limit: float) -> Tensor:
    """The noise at x that goes with the estimated action, once that is cut to +-limit.

    Near pure noise the estimate is the noise's error, divided by a small a: cutting it off is what
    many samplers do (diffusers calls it clip_sample).
    """
    a, s = amplitudes(alpha_bar)
    action = ((x - s * noise) / a).clamp(-limit, limit)
    return ((x - a * action) / s).to(x.dtype)


def ddim_step(x: Tensor, noise: Tensor, alpha_bar: Number, next_alpha_bar: Number) -> Tensor:
    """One deterministic step to less noise (arXiv 2010.02502), given the predicted noise at x."""
    (a, s), (next_a, next_s) = amplitudes(alpha_bar), amplitudes(next_alpha_bar)
    action = (x - s * noise) / a
    return (next_a * action + next_s * noise).to(x.dtype)


def ddpm_step(
    x: Tensor, noise: Tensor, alpha_bar: Number, next_alpha_bar: Number, fresh: Tensor
) -> Tensor:
    """One random step to less noise (arXiv 2006.11239), as Octo takes it.

    noise: the predicted one. fresh: new noise of x's shape, zeros in the last step.
    """
    kept = torch.as_tensor(alpha_bar, dtype=torch.float64) / next_alpha_bar  # alpha of the step
    _, s = amplitudes(alpha_bar)
    mean = (x - (1 - kept) / s * noise) / kept.sqrt()
    return (mean + (1 - kept).sqrt() * fresh).to(x.dtype)
