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
    """A small network v(x, tau, observation), usable directly in `flow.euler`.

    dim: D. width, depth: SiLU units per hidden layer, and hidden layers.
    told_tau: False leaves tau out of the network's input; `forward` takes tau and ignores it.
    observation_dim: numbers that the network is told beside the point.
    members: networks of different initialisation side by side, so that several seeds train as fast
        as one. A batch is cut into that many equal parts, one for each network.
    seed: of the initialisation.
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
        self.dim, self.told_tau = dim, told_tau
        self.observation_dim, self.members = observation_dim, members
        generator = torch.Generator().manual_seed(seed)
        sizes = [dim + told_tau + observation_dim, *[width] * depth, dim]
        layers = list(zip(sizes, sizes[1:], strict=False))  # (inputs, outputs) of each

        def uniform(rows, columns, fan_in):  # nn.Linear's own initialisation
            values = 2 * torch.rand(members, rows, columns, generator=generator) - 1
            return nn.Parameter(values / fan_in**0.5)

        self.weights = nn.ParameterList(uniform(i, o, i) for i, o in layers)
        self.biases = nn.ParameterList(uniform(1, o, i) for i, o in layers)

    def forward(
        self, x: Tensor, tau: Tensor | float | None = None, observation: Tensor | None = None
    ) -> Tensor:
        """The velocity at x.

        x: float[B, D].
        tau: a number, float[] or float[B]. A network that is not told tau needs none.
        observation: float[B, observation_dim], if the network takes one.
        Returns float[B, D]. Raises ValueError where tau is missing, where the observation is
        missing or unexpected, and where B is no multiple of `members`.
        """
        if len(x) % self.members:
            raise ValueError(f"{len(x)} points cannot be shared evenly by {self.members} networks")
        if (observation is not None) != bool(self.observation_dim):
            raise ValueError(
                f"this network takes an observation of {self.observation_dim} numbers, "
                f"got {observation!r}"
            )
        parts = [x]
        if self.told_tau:
            if tau is None:
                raise ValueError("this network is told tau: give it, between 0 and 1")
            tau = torch.as_tensor(tau, device=x.device).to(x.dtype)
            parts.append(tau.expand(len(x))[:, None])
        if observation is not None:
            parts.append(observation.to(x.dtype).reshape(len(x), self.observation_dim))
        h = torch.cat(parts, 1)
        h = h.reshape(self.members, -1, h.shape[1])  # (members, B / members, inputs)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, nn.functional.silu(h) if i else h, weight)
        return h.reshape(x.shape)

    def member(self, i: int) -> "VelocityMLP":
        """Network i of the `members`, alone. Raises IndexError where there is none."""
        if not 0 <= i < self.members:
            raise IndexError(f"there is no member {i} among {self.members}")
        alone = copy.deepcopy(self)
        alone.members = 1
        for parameter in alone.parameters():
            parameter.data = parameter.data[i : i + 1]
        return alone


def uniform_tau(n: int, generator: torch.Generator | None = None) -> Tensor:
    """n values of tau, uniform in [0, 1): many tutorials draw it so. pi0 uses flow.sample_tau."""
    return torch.rand(n, generator=generator)


def optimal_pairs(actions: Tensor, noise: Tensor) -> Tensor:
    """Minibatch optimal transport: the order in which `actions[order]` lie closest to `noise`.

    actions, noise: float[B, D].
    Returns int64[B], which minimises the sum of squared distances (Tong et al. 2023, arXiv
    2302.00482). It costs about B^3: 1 ms for 128 pairs, in every training step.
    """
    squares = torch.cdist(noise, actions).square().cpu().numpy()
    return torch.from_numpy(linear_sum_assignment(squares)[1])


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
    """Train `net` in place by flow matching, and freeze it. Adam, cosine decay of the step size.

    sample: (n, generator) -> actions float[n, D], or (actions, observation float[n, O]).
    batch: points per member and step.
    lr: the first step's size.
    seed: of data, noise and tau.
    target: "velocity", A - eps; "distance", A - A^tau, the rest of the path; "action", A itself.
    sample_tau: (n, generator) -> float[n]. Always 0, with target="action", is the regression
        eps -> A: no path.
    pair: (actions, noise) -> order int64[n] of the actions, e.g. `optimal_pairs`. By default the
        two are drawn independently. Not with observations.
    progress: the bar's label, None for no bar.

    Returns the losses, float[steps, members]. Raises ValueError for an unknown target, and
    FloatingPointError when the loss is not finite.
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
                    "pairing within a batch makes the noise depend on the observation; "
                    "when sampling it does not"
                )
            blocks = zip(actions.split(batch), noise.split(batch), strict=True)
            order = torch.cat([i * batch + pair(a, e) for i, (a, e) in enumerate(blocks)])
            actions = actions[order]
        tau = sample_tau(len(actions), generator)
        actions, noise, tau = actions.to(device), noise.to(device), tau.to(device)
        x = flow.interpolate(actions, noise, tau)
        told = () if observation is None else (observation.to(device),)
        prediction = net(x, tau, *told)
        # every target is the action minus an origin; flow.loss subtracts it
        origins = {"velocity": noise, "distance": x, "action": torch.zeros_like(noise)}
        loss = flow.loss(prediction, actions, origins[target], reduction="none")
        loss = loss.reshape(net.members, -1).mean(1)  # (members,)
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
