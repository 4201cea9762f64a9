"""Which tau to train on: other answers than `flow.sample_tau`'s, and a training that uses them."""

import torch
from torch import Tensor, nn

from minipi0.flow import TAU_MAX


def beta(n: int, generator: torch.Generator | None = None, a: float = 6.0) -> Tensor:
    """n values with (s - tau) / s ~ Beta(a, 1), s = 0.999: the larger a, the noisier.

    pi0's a is 1.5, `flow.sample_tau`. Returns float32[n], their mean is s / (a + 1).
    """
    return TAU_MAX * (1 - torch.rand(n, generator=generator) ** (1 / a))


def logit_normal(n: int, generator: torch.Generator | None = None) -> Tensor:
    """n values whose logit is a standard normal (Stable Diffusion 3, arXiv 2403.03206): the middle.

    Returns float32[n] in (0, 1).
    """
    return torch.randn(n, generator=generator).sigmoid()


class TrainedOn(nn.Module):
    """A pi0 to be trained on another tau: `train.fit` trains `model` in place.

    sample: (n, generator) -> tau, float[n].
    """

    def __init__(self, model: nn.Module, sample):
        super().__init__()
        self.model, self.sample = model, sample

    def loss(self, observation, actions, action_mask=None, generator=None) -> Tensor:
        """The model's loss, at tau of `sample`."""
        tau = self.sample(len(actions), generator)
        return self.model.loss(
            observation, actions, tau=tau, action_mask=action_mask, generator=generator
        )
