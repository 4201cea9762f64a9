"""Regression: the same network trained to name one action chunk, with and without Gaussian noise around it."""

import torch
from torch import Tensor, nn

from minipi0.config import Pi0Config
from minipi0.flow import loss as squared_distance
from minipi0.observation import Observation
from minipi0.pi0 import Pi0


class Regression(nn.Module):
    """pi0's network without flow matching: no noise, no tau; the squared error makes it predict the mean chunk E[A | o].

    Where pi0 reads the noisy actions, this one reads H learned queries; otherwise it is the same network, at the same size.
    """

    def __init__(self, config: Pi0Config):
        super().__init__()
        self.config = config
        self.network = Pi0(config)
        self.queries = nn.Parameter(torch.randn(config.horizon, config.action_dim))

    def predict(self, observation: Observation) -> Tensor:
        """The mean chunk, (B, H, D)."""
        return self.network.velocity(
            observation, self.queries.expand(len(observation.state), -1, -1), 0.0
        )

    def loss(
        self,
        observation: Observation,
        actions: Tensor,
        action_mask: Tensor | None = None,
        generator=None,
    ) -> Tensor:
        """Mean squared error over real steps. actions: (B, H, D); action_mask: (B, H). Draws nothing, so the generator is not used."""
        return squared_distance(
            self.predict(observation), actions, torch.zeros_like(actions), action_mask
        )

    @torch.no_grad()
    def sample_actions(
        self, observation: Observation, noise: Tensor | None = None, steps: int = 1, generator=None
    ) -> Tensor:
        """The same chunk (B, H, D) whatever the noise."""
        return self.predict(observation)


class GaussianRegression(nn.Module):
    """A regression with Gaussian noise of its residuals' covariance around it: the honest rival of a generative model.

    residuals: (N, H, D), actions minus predictions on training episodes, of chunks without padding. The covariance is over all H * D
    entries, so the noise is as correlated along the chunk as the errors are. Raises ValueError for fewer residuals than entries.
    """

    def __init__(self, regression: Regression, residuals: Tensor):
        super().__init__()
        flat = residuals.double().flatten(1)
        if len(flat) <= flat.shape[1]:
            raise ValueError(
                f"{len(flat)} residuals cannot tell a covariance of {flat.shape[1]} entries: give more"
            )
        self.regression = regression
        values, vectors = torch.linalg.eigh(flat.T.cov())
        self.register_buffer(
            "root", (vectors * values.clamp(min=0).sqrt()).float()
        )  # root @ root.T is the covariance

    @torch.no_grad()
    def sample_actions(
        self,
        observation: Observation,
        noise: Tensor | None = None,
        steps: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The predicted chunk plus correlated noise, (B, H, D)."""
        mean = self.regression.predict(observation)
        noise = torch.randn(mean.shape, generator=generator) if noise is None else noise
        return mean + (noise.flatten(1).to(mean) @ self.root.T.to(mean)).view_as(mean)


def residuals(regression: Regression, dataset, indices: Tensor, batch_size: int = 256) -> Tensor:
    """Actions minus predictions, (N, H, D), for those of the items `indices` whose chunk has no padding."""
    device, found = regression.queries.device, []
    with torch.no_grad():
        for part in indices.split(batch_size):
            observation, actions, mask = dataset.batch(part)
            found.append(
                (actions - regression.predict(observation.to(device)).cpu())[mask.all(dim=1)]
            )
    return torch.cat(found)
