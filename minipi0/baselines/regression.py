"""Regression: pi0's network trained to predict one action chunk, without and with Gaussian noise.

Axes: B batch, H action horizon, D action dims, N residuals.
"""

import torch
from torch import Tensor, nn

from minipi0.config import Pi0Config
from minipi0.flow import loss as squared_distance
from minipi0.observation import Observation
from minipi0.pi0 import Pi0


class Regression(nn.Module):
    """pi0's network without flow matching: no noise and no tau.

    The squared error makes it predict the mean chunk E[A | o]. Where pi0 reads the noisy actions,
    this one reads H learned queries; otherwise it is the same network, at the same size.
    """

    def __init__(self, config: Pi0Config):
        super().__init__()
        self.config = config
        self.network = Pi0(config)
        self.queries = nn.Parameter(torch.randn(config.horizon, config.action_dim))

    def predict(self, observation: Observation) -> Tensor:
        """The mean chunk, float[B, H, D]."""
        queries = self.queries.expand(len(observation.state), -1, -1)
        return self.network.velocity(observation, queries, 0.0)

    def loss(
        self, observation: Observation, actions: Tensor, action_mask=None, generator=None
    ) -> Tensor:
        """The mean squared error over real steps.

        actions: float[B, H, D].
        action_mask: bool[B, H], True where a step is real; None: everywhere.
        generator: not used, nothing is drawn.
        """
        origin = torch.zeros_like(actions)
        return squared_distance(self.predict(observation), actions, origin, action_mask)

    @torch.no_grad()
    def sample_actions(
        self, observation: Observation, noise: Tensor | None = None, steps: int = 1, generator=None
    ) -> Tensor:
        """The same chunk, float[B, H, D], whatever the noise."""
        return self.predict(observation)


class GaussianRegression(nn.Module):
    """A regression plus Gaussian noise: the honest rival of a generative model.

    residuals: float[N, H, D], actions minus predictions on training episodes, of chunks without
        padding. The noise has their covariance, over all H * D entries, so it is as correlated
        along the chunk as the errors are.
    Raises ValueError unless there are more residuals than entries.
    """

    def __init__(self, regression: Regression, residuals: Tensor):
        super().__init__()
        flat = residuals.double().flatten(1)
        if len(flat) <= flat.shape[1]:
            raise ValueError(
                f"{len(flat)} residuals cannot tell a covariance of {flat.shape[1]} entries: "
                "give more"
            )
        self.regression = regression
        values, vectors = torch.linalg.eigh(flat.T.cov())
        root = vectors * values.clamp(min=0).sqrt()  # root @ root.T is the covariance
        self.register_buffer("root", root.float())

    @torch.no_grad()
    def sample_actions(
        self, observation: Observation, noise: Tensor | None = None, steps: int = 1, generator=None
    ) -> Tensor:
        """The predicted chunk plus correlated noise, float[B, H, D].

        noise: float[B, H, D] of N(0, I), by default drawn with `generator`.
        """
        mean = self.regression.predict(observation)
        noise = torch.randn(mean.shape, generator=generator) if noise is None else noise
        return mean + (noise.flatten(1).to(mean) @ self.root.T.to(mean)).view_as(mean)


def residuals(regression: Regression, dataset, indices: Tensor, batch_size: int = 256) -> Tensor:
    """Actions minus predictions, float[N, H, D].

    indices: int64[any], items of `dataset`; those whose chunk has padding are left out.
    """
    device, found = regression.queries.device, []
    with torch.no_grad():
        for part in indices.split(batch_size):
            observation, actions, mask = dataset.batch(part)
            predicted = regression.predict(observation.to(device)).cpu()
            found.append((actions - predicted)[mask.all(dim=1)])
    return torch.cat(found)
