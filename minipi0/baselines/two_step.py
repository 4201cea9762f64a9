"""The two-step policy of *Much Ado About Noising* (arXiv 2512.01809): a regression, asked twice.

The paper's claim: what helps flow policies is not that they model a distribution, but that they
compute in steps, each of them supervised, with noise in the input. So its minimal iterative policy
has two steps, and no randomness when it acts:

    A_0 = f(0, tau = 0)          learned: the action, from nothing
    A_1 = f(A_0, tau = 0.9)      learned: the action, from an action plus a tenth of noise

Loss and sampler are those of the released code: the second step gets the first one's answer as it
is (the paper's formula scales it by 0.9), and each error is divided by the square of how far its
step has to go, 0.9 and 0.1. The network is pi0's; what pi0 calls a velocity is here the action.
"""

import torch
from torch import Tensor

from minipi0.flow import loss as squared_distance
from minipi0.pi0 import Encoded, Pi0, time_embedding

TAU = 0.9  # of the second step


class TwoStep(Pi0):
    """pi0's network, trained as a regression in two steps. Arguments are `Pi0`'s."""

    def predict(self, encoded: Encoded, state: Tensor, actions: Tensor, tau: float) -> Tensor:
        """The action chunk, [B, H, D], given a worse one and how far it has come."""
        at = torch.tensor([tau], dtype=torch.float64)
        time = time_embedding(at, self.config.action_expert.width)
        return self.decode(encoded, state, actions, time)

    def loss(self, observation, actions, action_mask=None, generator=None) -> Tensor:
        """Both steps' squared errors: the prefix once, the expert twice."""
        self._check(observation, actions=actions)
        encoded, state = self.encode(observation), observation.state
        zeros = torch.zeros_like(actions)
        noise = torch.randn(actions.shape, generator=generator).to(actions)
        first = self.predict(encoded, state, zeros, 0.0)
        second = self.predict(encoded, state, actions + (1 - TAU) * noise, TAU)
        far, near = (squared_distance(x, actions, zeros, action_mask) for x in (first, second))
        return far / TAU**2 + near / (1 - TAU) ** 2

    @torch.no_grad()
    def sample_actions(self, observation, noise=None, steps=2, generator=None) -> Tensor:
        """The chunk, [B, H, D]. noise, steps, generator: not used, it is always the same chunk."""
        shape = (len(observation.state), self.config.horizon, self.config.action_dim)
        nothing = torch.zeros(shape, device=self.state_proj.weight.device)
        self._check(observation)
        encoded = self.encode(observation)
        first = self.predict(encoded, observation.state, nothing, 0.0)
        return self.predict(encoded, observation.state, first, TAU)
