"""From chunks to one action per control step: what is executed, and when a new chunk is due.

    Queue           execute k of H, then ask again (pi0); with a delay, the robot goes on moving
                    while the next chunk is computed
    Ensemble        the mean of all chunks' predictions for the same step (ACT, arXiv 2304.13705)
    continue_chunk  real-time chunking: a chunk that goes on where the last one is being executed
                    (arXiv 2506.07339)

Axes: H action horizon, D action dims, k executed actions, d delay, in control steps.
"""

import math
from collections import deque

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minipi0 import flow
from minipi0.pi0 import Pi0, time_embedding


class Queue:
    """Hands out k actions of every chunk; asks for the next one d control steps before they end.

    execute: k. delay: d, how many control steps pass between asking and the chunk's arrival. In
    these steps the robot executes what it has. So the first d actions of the new chunk come too
    late, and actions d … d + k - 1 are executed. For an episode's first chunk the robot waits.
    """

    def __init__(self, execute: int, delay: int = 0):
        if not 0 <= delay <= execute or execute < 1:
            raise ValueError(
                f"execute must be at least 1, and delay between 0 and that: {execute}, {delay}"
            )
        self.execute, self.delay = execute, delay
        self.actions: deque[np.ndarray] = deque()

    @property
    def wants(self) -> bool:
        """Whether a chunk is due before the next action."""
        return len(self.actions) <= self.delay

    def add(self, chunk: np.ndarray, left: int | None = None) -> None:
        """chunk: float[H, D]. left: how many actions were, when its observation was made, still to
        be executed; by default those that are left now. So many of its own come too late.
        """
        left = len(self.actions) if left is None else left
        self.actions.extend(chunk[left : self.delay + self.execute])

    def pop(self) -> np.ndarray:
        """The next action, float[D]."""
        return self.actions.popleft()


class Ensemble:
    """Hands out weighted means: every chunk that has not ended has a say in an action.

    execute: k, a chunk is due after so many steps (ACT: 1). decay: m, the weight of the i-th oldest
    chunk is exp(-m i), so that older chunks count more, as in ACT.
    Where chunks stand for different ways to do the task, their mean is none of them.
    """

    def __init__(self, execute: int = 1, decay: float = 0.01):
        self.execute, self.decay = execute, decay
        self.chunks: list[tuple[int, np.ndarray]] = []  # (the step it begins at, float[H, D])
        self.step = 0

    @property
    def wants(self) -> bool:
        return not self.chunks or self.step - self.chunks[-1][0] >= self.execute

    def add(self, chunk: np.ndarray) -> None:
        self.chunks = [(start, c) for start, c in self.chunks if self.step - start < len(c)]
        self.chunks.append((self.step, chunk))

    def pop(self) -> np.ndarray:
        said = [c[self.step - start] for start, c in self.chunks if self.step - start < len(c)]
        weights = np.exp(-self.decay * np.arange(len(said)))
        self.step += 1
        return np.average(said, axis=0, weights=weights).astype(np.float32)


def prefix_weights(horizon: int, overlap: int, delay: int) -> Tensor:
    """How strongly the new chunk is bound to the last one at each of its steps (eq. 5): float[H].

    overlap: steps that the last chunk reaches into the new one. 1 for the `delay` steps that are
    executed before the new chunk arrives; from there it falls to 0 at the end of the overlap, where
    the last chunk knows nothing.
    """
    steps = torch.arange(horizon, dtype=torch.float64)
    c = ((overlap - steps) / (overlap - delay + 1)).clamp(0, 1)
    falling = c * torch.expm1(c) / math.expm1(1)
    return torch.where(steps < delay, 1.0, falling)


@torch.no_grad()
def continue_chunk(
    model: Pi0,
    observation,
    noise: Tensor,
    previous: Tensor,
    delay: int,
    steps: int = 10,
    clip: float = 5.0,
) -> Tensor:
    """Sample a chunk that agrees with the last one where both know what happens (algorithm 1).

    At every Euler step the velocity tells where the chunk would end: A^1 = A^tau + (1 - tau) v. Its
    weighted distance to the last chunk is sent back through the network (a vector-Jacobian product)
    and bends the velocity (eq. 2).

    observation: an Observation with batch axis B. noise: [B, H, D].
    previous: [B, overlap, D], what is left of the last chunk, in the model's numbers.
    delay: how many of these will be executed before the new chunk arrives.
    clip: the largest weight of the guidance, beta in the paper; without it few steps overshoot.
    Returns [B, H, D].
    """
    horizon, overlap = noise.shape[1], previous.shape[1]
    if not delay <= overlap <= horizon:
        raise ValueError(
            f"the last chunk reaches {overlap} steps into the new one: expected between the delay, "
            f"{delay}, and the horizon, {horizon}"
        )
    weights = prefix_weights(horizon, overlap, delay).to(noise)[:, None]
    target = F.pad(previous.to(noise), (0, 0, 0, horizon - overlap))
    encoded = model.encode(observation)

    def velocity(x: Tensor, tau: Tensor) -> Tensor:
        time = time_embedding(tau[None], model.config.action_expert.width)
        tau = tau.item()
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            v = model.decode(encoded, observation.state, x, time)
            end = x + (1 - tau) * v
            error = ((target - end) * weights).detach()
            (guidance,) = torch.autograd.grad(end, x, error)
        # (1 - tau) / (tau r^2) with r^2 = (1 - tau)^2 / (tau^2 + (1 - tau)^2), eq. 4
        wanted = math.inf if tau == 0 else (tau**2 + (1 - tau) ** 2) / (tau * (1 - tau))
        return v.detach() + min(clip, wanted) * guidance

    return flow.euler(velocity, noise, steps)
