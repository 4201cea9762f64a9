"""A small network and its training by flow matching, for the targets of `targets.py`.

Axes: B batch, D dims of a point.
"""

import copy

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from tqdm.auto import tqdm

from minipi0 import flow


class VelocityMLP(nn.Module):
    """A small network v(x, tau, observation): `depth` hidden layers of `width` SiLU units; usable directly in `flow.euler`.

    told_tau=False leaves tau out of its input (it is accepted and ignored). `members` networks of different initialisation live side by
    side, so that several seeds train as fast as one: the batch is cut into that many equal parts, and each network sees only its own.
    """

    def __init__(
        self,
        dim: int,
        width: int = 128,
        depth: int = 3,
        told_tau: bool = True,
        observation_dim: int = 0,
        members: int = 1,
        seed: int = 0,
    ):
        super().__init__()
        self.dim, self.told_tau, self.observation_dim, self.members = (
            dim,
            told_tau,
            observation_dim,
            members,
        )
        generator = torch.Generator().manual_seed(seed)
        sizes = [dim + told_tau + observation_dim, *[width] * depth, dim]

        def uniform(rows, columns, fan_in):  # nn.Linear's own initialisation
            return nn.Parameter(
                (2 * torch.rand(members, rows, columns, generator=generator) - 1) / fan_in**0.5
            )

        self.weights = nn.ParameterList(
            uniform(i, o, i) for i, o in zip(sizes, sizes[1:], strict=False)
        )
        self.biases = nn.ParameterList(
            uniform(1, o, i) for i, o in zip(sizes, sizes[1:], strict=False)
        )

    def forward(self, x: Tensor, tau: Tensor | float, observation: Tensor | None = None) -> Tensor:
        """x: (B, D). tau: a number, 0-d or (B,). observation: (B, observation_dim) if the network takes one. Returns (B, D).

        Raises ValueError where the observation is missing, or B is no multiple of `members`.
        """
        if len(x) % self.members:
            raise ValueError(f"{len(x)} points cannot be shared evenly by {self.members} networks")
        if (observation is not None) != bool(self.observation_dim):
            raise ValueError(
                f"this network takes an observation of {self.observation_dim} numbers, got {observation!r}"
            )
        parts = [x]
        if self.told_tau:
            parts.append(torch.as_tensor(tau, device=x.device).to(x.dtype).expand(len(x))[:, None])
        if observation is not None:
            parts.append(observation.to(x.dtype).reshape(len(x), self.observation_dim))
        h = torch.cat(parts, 1).reshape(
            self.members, -1, self.weights[0].shape[1]
        )  # (members, B / members, inputs)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, nn.functional.silu(h) if i else h, weight)
        return h.reshape(x.shape)

    def member(self, i: int) -> "VelocityMLP":
        """Network i of the `members`, on its own. Raises IndexError where there is none."""
        if not 0 <= i < self.members:
            raise IndexError(f"there is no member {i} among {self.members}")
        alone = copy.deepcopy(self)
        alone.members = 1
        for parameter in alone.parameters():
            parameter.data = parameter.data[i : i + 1]
        return alone


def uniform_tau(n: int, generator: torch.Generator | None = None) -> Tensor:
    """n values of tau, uniform in [0, 1): what many tutorials use in place of pi0's flow.sample_tau."""
    return torch.rand(n, generator=generator)


def optimal_pairs(actions: Tensor, noise: Tensor) -> Tensor:
    """Minibatch optimal transport: the order (B,) in which `actions[order]` lie closest to `noise`, by summed squared distance
    (Tong et al. 2023, arXiv 2302.00482). Costs about B^3: 1 ms for 128 pairs, and must be paid in every training step."""
    return torch.from_numpy(
        linear_sum_assignment(torch.cdist(noise, actions).square().cpu().numpy())[1]
    )


def train(
    net: VelocityMLP,
    sample,
    steps: int = 2000,
    batch: int = 128,
    lr: float = 1e-2,
    seed: int = 0,
    target: str = "velocity",
    sample_tau=flow.sample_tau,
    pair=None,
    progress: str | None = "training",
) -> Tensor:
    """Train `net` in place by flow matching and freeze it; returns the losses, (steps, members). Adam, cosine decay of the step size.

    sample: (n, generator) -> actions (n, D), or (actions, observation (n, O)). batch: points per member and step.
    seed: of data, noise and tau.
    target: "velocity", A - eps; "distance", A - A^tau, what is left of the way; "action", A itself.
    sample_tau: (n, generator) -> (n,). Always 0, with target="action", is the regression eps -> A: no path.
    pair: (actions, noise) -> order (n,) of the actions, e.g. `optimal_pairs`; by default drawn independently. Not with observations.
    progress: the bar's label, None for no bar. Raises ValueError for an unknown target, FloatingPointError when the loss is not finite.
    """
    if target not in ("velocity", "distance", "action"):
        raise ValueError(f'target is "velocity", "distance" or "action", not {target!r}')
    net.requires_grad_(True)
    device = next(net.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = torch.empty(steps, net.members)
    bar = tqdm(range(steps), desc=progress, disable=progress is None, mininterval=0.5)
    for step in bar:
        drawn = sample(net.members * batch, generator)
        actions, observation = drawn if isinstance(drawn, tuple) else (drawn, None)
        noise = torch.randn(actions.shape, generator=generator)
        if pair is not None:
            if observation is not None:
                raise ValueError(
                    "pairing within a batch makes the noise depend on the observation; when sampling it does not"
                )
            blocks = zip(actions.split(batch), noise.split(batch), strict=True)
            order = torch.cat([i * batch + pair(a, e) for i, (a, e) in enumerate(blocks)])
            actions = actions[order]
        tau = sample_tau(len(actions), generator)
        actions, noise, tau = actions.to(device), noise.to(device), tau.to(device)
        inputs = (flow.interpolate(actions, noise, tau), tau) + (
            () if observation is None else (observation.to(device),)
        )
        # Every target is the action minus something; flow.loss subtracts it.
        origin = {"velocity": noise, "distance": inputs[0], "action": torch.zeros_like(noise)}[
            target
        ]
        loss = (
            flow.loss(net(*inputs), actions, origin, reduction="none")
            .reshape(net.members, -1)
            .mean(1)
        )
        optimizer.zero_grad()
        loss.sum().backward()  # the members share no parameter: each gets its own gradient
        optimizer.step()
        schedule.step()
        losses[step] = loss.detach()
        if step % 100 == 99 or step == steps - 1:
            if not torch.isfinite(losses[: step + 1]).all():
                raise FloatingPointError(
                    f"the loss is not finite by step {step + 1}: lower lr={lr:g}"
                )
            bar.set_postfix(loss=f"{losses[max(0, step - 99) : step + 1].mean():.3f}")
    net.requires_grad_(False)
    return losses
