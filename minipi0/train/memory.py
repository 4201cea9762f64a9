"""How much memory a training step takes, counted before there is a machine for it.

A model on the meta device has shapes and no numbers: a full-size step is counted in seconds.
"""

from dataclasses import dataclass, fields

import torch
from torch import nn

from minipi0.observation import Observation
from minipi0.train import tuning


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a training step, by what they are for.

    weights: all of them, frozen and trained. gradients, moments (Adam's two), average: of what is
        trained. activations: what the forward pass keeps for the backward pass.
    """

    weights: int
    gradients: int
    moments: int
    average: int
    activations: int

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        parts = [f"{f.name} {getattr(self, f.name) / 1e9:.2f}" for f in fields(self)]
        return f"{self.total / 1e9:.2f} GB: " + ", ".join(parts)


def count(model: nn.Module, batch_size: int, cameras: int = 1, prompt_length: int = 48) -> Memory:
    """Count the memory of a training step.

    model: a Pi0, on any device, "meta" for one that would not fit: with torch.device("meta"). What
        is frozen and every dtype are as they are: see `tuning`.
    batch_size: chunks of one part of a batch; cameras, prompt_length: of what it sees.
    The forward pass is run once. Every tensor that it keeps is counted once; weights are not
    counted again. Not counted: what the backward pass needs for a moment, a few per cent.
    """
    trained = list(tuning.trained(model).values())
    size = sum(parameter.nbytes for parameter in trained)
    mine = {p.untyped_storage()._cdata for p in (*model.parameters(), *model.buffers())}
    kept: dict[int, tuple] = {}

    def keep(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage._cdata not in mine:  # held, so that no later one takes its number
            kept[storage._cdata] = (storage.nbytes(), storage)
        return x

    c, device = model.config, trained[0].device
    side = c.vision.image_size
    seen = Observation(
        images=torch.zeros(batch_size, cameras, 3, side, side, device=device),
        image_mask=torch.ones(batch_size, cameras, dtype=torch.bool, device=device),
        tokens=torch.zeros(batch_size, prompt_length, dtype=torch.long, device=device),
        token_mask=torch.ones(batch_size, prompt_length, dtype=torch.bool, device=device),
        state=torch.zeros(batch_size, c.state_dim, device=device),
    )
    actions = torch.zeros(batch_size, c.horizon, c.action_dim, device=device)
    tau = torch.zeros(batch_size, device=device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = model.loss(seen, actions, noise=actions, tau=tau)
    del loss
    return Memory(
        weights=sum(parameter.nbytes for parameter in model.parameters()),
        gradients=size,
        moments=2 * size,
        average=size,
        activations=sum(nbytes for nbytes, _ in kept.values()),
    )
