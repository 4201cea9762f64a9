"""Octo's policy (arXiv 2405.12213) on pi0's backbone: one pass, then a small head that diffuses.

Tokens, in this order:   [ camera 1 … camera C | instruction ]   [ state | readout ]
                          prefix, VLM expert                      suffix, action expert

pi0 puts the noisy actions into the transformer, which so runs once for every step. Octo puts one
learned token there, the readout, which gathers what matters and attends to no action. The
transformer runs once. A small network, the head, then turns noise into the whole flattened chunk,
told the readout's output. The head has the released one's sizes; the rest is as large as pi0.

Axes: B batch, H action horizon, D action dims, W the action expert's width.
"""

import torch
from torch import Tensor, nn

from minipi0 import flow
from minipi0.baselines import diffusion
from minipi0.baselines.head import STEPS, Head
from minipi0.config import Pi0Config
from minipi0.observation import Observation
from minipi0.pi0 import Pi0

LIMIT = 5.0  # actions beyond are cut off, in training and in every step


class Octo(Pi0):
    """One readout, and a head that predicts the noise: DDPM with a cosine schedule, 20 steps.

    Arguments of its methods are `Pi0`'s. cut_estimate: when sampling, cut the action that every
    step estimates to +-LIMIT. The released code cuts only where the step ends: False.
    """

    cut_estimate = False

    def __init__(self, config: Pi0Config):
        super().__init__(config)
        width = config.action_expert.width
        for unused in ("in_proj", "time_mlp_in", "time_mlp_out", "out_proj"):
            delattr(self, f"action_{unused}")  # no action goes through the transformer
        self.readout_token = nn.Parameter(torch.randn(width))
        self.head = Head(width, config.horizon * config.action_dim)

    def readout(self, observation: Observation) -> Tensor:
        """What the readout token has gathered, [B, W]: the only pass of the transformer."""
        self._check(observation)
        encoded = self.encode(observation)
        state = self.state_proj(observation.state.to(self.state_proj.weight.dtype))
        tokens = torch.stack([state, self.readout_token.expand_as(state)], dim=1)  # (B, 2, W)
        p = encoded.mask.shape[-1] - encoded.mask.shape[1]  # of the mask for 1 + H tokens, take 2
        mask, table = encoded.mask[:, :2, : p + 2], tuple(x[:, :, :2] for x in encoded.table)
        return self.experts.suffix(tokens, mask, table, encoded.cache)[:, 1]

    def loss(self, observation, actions, action_mask=None, generator=None) -> Tensor:
        """Squared error of the predicted noise; how much of it there is, is drawn evenly."""
        noise = _drawn(actions.shape, generator).to(actions)
        step = torch.randint(STEPS, (len(actions),), generator=generator)
        a, s = diffusion.amplitudes(diffusion.cosine_schedule(STEPS)[step])
        a, s = (x.to(actions)[:, None, None] for x in (a, s))
        noisy = a * actions.clamp(-LIMIT, LIMIT) + s * noise
        predicted = self.head(self.readout(observation), noisy, step)
        return flow.loss(predicted, noise, torch.zeros_like(noise), action_mask)

    @torch.no_grad()
    def sample_actions(self, observation, noise=None, steps=STEPS, generator=None) -> Tensor:
        """A chunk per observation, [B, H, D], always in the STEPS steps that the head knows.

        noise: [B, H, D]. It also fixes the noise that the later steps add, item by item.
        steps: not used; a Policy passes it.
        """
        readout = self.readout(observation)
        x = self._noise(readout, noise, generator)
        later = _later_noise(x)
        bars = [1.0, *diffusion.cosine_schedule(STEPS).tolist()]
        for step in reversed(range(STEPS)):
            predicted = self.head(readout, x, torch.full((len(x),), step))
            if self.cut_estimate:
                predicted = diffusion.noise_within(x, predicted, bars[step + 1], LIMIT)
            fresh = later[step] * (step > 0)  # none in the last step
            x = diffusion.ddpm_step(x, predicted, bars[step + 1], bars[step], fresh)
            x = x.clamp(-LIMIT, LIMIT)
        return x

    def _noise(self, readout: Tensor, noise: Tensor | None, generator) -> Tensor:
        shape = (len(readout), self.config.horizon, self.config.action_dim)
        return _drawn(shape, generator).to(readout) if noise is None else noise


class OctoFlow(Octo):
    """The same readout and head, trained by flow matching: only loss and sampling differ."""

    def velocity_at(self, readout: Tensor, noisy_actions: Tensor, tau: Tensor) -> Tensor:
        """v(A^tau, readout), [B, H, D]: the head counts time as Octo's does, STEPS is noise."""
        return self.head(readout, noisy_actions, STEPS * (1 - tau.expand(len(readout))))

    def loss(self, observation, actions, action_mask=None, generator=None) -> Tensor:
        """Conditional flow matching, as in `Pi0.loss`, by the head alone."""
        noise = _drawn(actions.shape, generator).to(actions)
        tau = flow.sample_tau(len(actions), generator, device=actions.device)
        noisy = flow.interpolate(actions, noise, tau)
        velocity = self.velocity_at(self.readout(observation), noisy, tau)
        return flow.loss(velocity, actions, noise, action_mask)

    @torch.no_grad()
    def sample_actions(self, observation, noise=None, steps=10, generator=None) -> Tensor:
        """A chunk per observation, [B, H, D], in Euler steps of the head. noise: [B, H, D]."""
        readout = self.readout(observation)
        noise = self._noise(readout, noise, generator)
        return flow.euler(lambda x, tau: self.velocity_at(readout, x, tau), noise, steps)


def _drawn(shape, generator: torch.Generator | None) -> Tensor:
    return torch.randn(shape, generator=generator)


def _later_noise(noise: Tensor) -> Tensor:
    """Noise for STEPS steps, [STEPS, B, H, D]; each item's is fixed by its own first noise."""
    later = []
    for item in noise.double().cpu():
        generator = torch.Generator().manual_seed(int(1e6 * item.abs().sum()))
        later.append(torch.randn(STEPS, *item.shape, generator=generator))
    return torch.stack(later, dim=1).to(noise)
