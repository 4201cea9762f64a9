"""Flow matching, and nothing else: the path, its velocity, the loss, and Euler's steps.

Time is the paper's (pi0, arXiv 2410.24164, Sec. IV): tau = 0 is noise, tau = 1 is the action.
Released code counts the other way, t = 1 - tau.

Axes: B batch, H action horizon, D action dims. Toy targets are plain points, (B, D).
Shapes and dtypes are checked everywhere. Values (tau in [0, 1], everything finite) are checked
where that is free, on the CPU, and once per call of `euler`: on an accelerator a check in every
training step would stall the device.
"""

import torch
from torch import Tensor

TAU_MAX = 0.999  # s of the paper's appendix B: no Euler step starts later, so none is trained


def interpolate(actions: Tensor, noise: Tensor, tau: Tensor | float) -> Tensor:
    """The straight line A^tau = tau * A + (1 - tau) * eps (Sec. IV).

    actions, noise: float[B, ..., D].
    tau: a number, a 0-d tensor or float[B], on any device.
    Returns [B, ..., D] in the actions' dtype.
    Raises ValueError for mismatched shapes, tau outside [0, 1] and numbers that are not finite.
    """
    _check_pair(actions, noise)
    tau = _per_item(tau, actions)
    return (tau * actions + (1 - tau) * noise).to(actions.dtype)


def velocity_target(actions: Tensor, noise: Tensor) -> Tensor:
    """d A^tau / d tau = A - eps, the same for every tau.

    The paper's first versions misprint its sign.

    actions, noise: float[B, ..., D]. Returns the same shape.
    Raises ValueError for mismatched shapes and numbers that are not finite.
    """
    _check_pair(actions, noise)
    return (actions - noise).to(actions.dtype)


def sample_tau(
    n: int,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """n values of tau with (s - tau) / s ~ Beta(1.5, 1), s = 0.999 (appendix B).

    Noisy times come more often. Beta(a, 1) has the distribution function x^a, so u^(1/a) with
    uniform u is an exact sample.

    device: where the values end up; by default the generator's, else the CPU.
    Returns float32[n] in [0, s], with mean 0.3996.
    """
    if n < 0:
        raise ValueError(f"cannot sample {n} values of tau")
    u = torch.rand(n, generator=generator, device=generator.device if generator else device)
    return (TAU_MAX * (1 - u ** (1 / 1.5))).to(device)


def loss(
    velocity: Tensor,
    actions: Tensor,
    noise: Tensor,
    mask: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Squared distance of a predicted velocity to A - eps: conditional flow matching (Sec. IV).

    velocity, actions, noise: float[B, H, D]. Computed in float32 or better.
    mask: bool[B, H], True where the step is real, or bool[B, H, D] where dims are padded too.
        Padding does not count, and does not dilute the mean.
    reduction: "mean" over the real entries, or "none" for [B, H, D], zero where padded.
    Raises ValueError for mismatched shapes, an unknown reduction, a mask without a single real
    step, and numbers that are not finite.
    """
    if velocity.shape != actions.shape:
        raise ValueError(
            f"velocity has shape {tuple(velocity.shape)}, actions {tuple(actions.shape)}: "
            "they must be equal"
        )
    if reduction not in ("mean", "none"):
        raise ValueError(f'reduction is "mean" or "none", not {reduction!r}')
    # bf16 would round the target and lose the sum
    wide = torch.promote_types(actions.dtype, torch.float32)
    error = velocity.to(wide) - velocity_target(actions.to(wide), noise.to(wide))
    if mask is None:
        return (error**2).mean() if reduction == "mean" else error**2
    if mask.shape not in (actions.shape[:-1], actions.shape):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, expected {tuple(actions.shape[:-1])}: "
            f"one entry per action, or one per number, {tuple(actions.shape)}"
        )
    if cheap_to_look(mask) and not mask.any():
        raise ValueError("the mask marks no step as real: nothing to average over")
    real = mask.bool() if mask.ndim == actions.ndim else mask.bool()[..., None].expand_as(error)
    # filled before squaring: an infinity at a padded step must not reach the gradient
    squared = error.masked_fill(~real, 0.0) ** 2
    return squared.sum() / real.sum() if reduction == "mean" else squared


def euler(velocity, noise: Tensor, steps: int = 10, path: bool = False) -> Tensor:
    """From noise to an action in equal steps: A <- A + v(A, tau) / steps (Sec. IV).

    velocity: a function (x, tau) -> dx/dtau of x's shape; tau is 0, 1/steps, …, a 0-d float64
        tensor.
    noise: float[B, ..., D].
    Returns [B, ..., D] in the noise's dtype; with path=True all of [steps + 1, B, ..., D], noise
    first.
    Raises ValueError for steps < 1 or not whole, noise that is not finite, or a velocity of
    another shape; FloatingPointError where the result is not finite.
    """
    if steps < 1 or steps != int(steps):
        raise ValueError(f"steps must be a whole number of at least 1, not {steps}")
    check_finite("noise", noise, look=True)
    taus = torch.arange(steps, dtype=torch.float64) / steps
    if noise.device.type != "mps":  # which knows no float64; 0-d CPU tensors mix with any device
        taus = taus.to(noise.device)
    x = noise
    points = [x]
    for tau in taus:
        v = velocity(x, tau)
        if v.shape != x.shape:
            raise ValueError(
                f"velocity returned shape {tuple(v.shape)} for points of shape {tuple(x.shape)}"
            )
        x = x + v.to(x.dtype) / steps
        if path:
            points.append(x)
    if not torch.isfinite(x).all():
        raise FloatingPointError(
            "the sampled chunk holds NaN or infinity: the weights may be broken, or float16 "
            "overflowed (take float32 or bfloat16)"
        )
    return torch.stack(points) if path else x


def check_tau(tau: Tensor | float, n: int) -> Tensor:
    """tau as a 0-d or [n] tensor; a number becomes float64.

    Raises ValueError for another shape and for values outside [0, 1].
    """
    if not isinstance(tau, Tensor):
        tau = torch.tensor(tau, dtype=torch.float64)
    if tau.ndim > 1 or (tau.ndim == 1 and len(tau) != n):
        raise ValueError(
            f"tau has shape {tuple(tau.shape)}, expected a scalar or ({n},), "
            "one per item of the batch"
        )
    if cheap_to_look(tau) and not ((tau >= 0) & (tau <= 1)).all():
        found = f"{tau.min().item():g} … {tau.max().item():g}"
        raise ValueError(f"tau must lie in [0, 1] (0 is noise, 1 the action), got {found}")
    return tau


def check_finite(name: str, x: Tensor, look: bool = False) -> None:
    """Raise ValueError for integers, and for a NaN or an infinity where looking is free.

    look: look also where it is not free.
    """
    if not x.is_floating_point():
        raise ValueError(f"{name} must be a floating-point tensor, not {x.dtype}")
    if (look or cheap_to_look(x)) and not torch.isfinite(x).all():
        where = (~torch.isfinite(x)).nonzero()[0].tolist()
        raise ValueError(f"{name} holds a NaN or an infinity, first at index {where}")


def cheap_to_look(x: Tensor) -> bool:
    """Whether a check of values costs no device synchronisation and breaks no compiled graph."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def _per_item(tau: Tensor | float, x: Tensor) -> Tensor:
    """tau as [1, 1, ..., 1] or [B, 1, ..., 1], in float64 where the device has it.

    So the path is rounded only once, to its own dtype.
    """
    tau = check_tau(tau, len(x))
    if x.device.type == "mps":  # narrow first: it takes no float64
        tau = tau.to(torch.float32).to(x.device)
    else:  # move first: tau may come from there
        tau = tau.to(x.device).to(torch.float64)
    return tau.reshape(-1, *[1] * (x.ndim - 1))


def _check_pair(actions: Tensor, noise: Tensor) -> None:
    if actions.shape != noise.shape:
        raise ValueError(
            f"actions have shape {tuple(actions.shape)}, noise {tuple(noise.shape)}: "
            "they must be equal"
        )
    if actions.device != noise.device:
        raise ValueError(
            f"actions are on {actions.device}, noise on {noise.device}: move one of them"
        )
    check_finite("actions", actions)
    check_finite("noise", noise)
