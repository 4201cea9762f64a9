"""Regression: the same network trained to name one action chunk, with and without Gaussian noise.

Axes: B batch, H action horizon, D action dims, N residuals.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from minipi0.checkpoint import open_checkpoint, read_tensors, write_atomically, write_tensors
from minipi0.config import Pi0Config
from minipi0.flow import loss as squared_distance
from minipi0.observation import Observation
from minipi0.pi0 import Pi0

NOISE = "noise.safetensors"  # in a checkpoint's folder: the root of the residuals' covariance


class Regression(Pi0):
    """pi0's network without flow matching: no noise, no tau.

    The squared error makes it predict the mean chunk E[A | o]. Where pi0 reads the noisy actions,
    this one reads H learned queries; otherwise it is the same network, at the same size.
    """

    def __init__(self, config: Pi0Config):
        super().__init__(config)
        self.queries = nn.Parameter(torch.randn(config.horizon, config.action_dim))

    def predict(self, observation: Observation) -> Tensor:
        """The mean chunk, [B, H, D]."""
        queries = self.queries.expand(len(observation.state), -1, -1)
        return self.velocity(observation, queries, 0.0)

    def loss(
        self,
        observation: Observation,
        actions: Tensor,
        noise: Tensor | None = None,
        tau: Tensor | None = None,
        action_mask: Tensor | None = None,
        generator=None,
    ) -> Tensor:
        """Mean squared error over real steps.

        actions: [B, H, D]. action_mask: bool[B, H] or bool[B, H, D].
        noise, tau, generator: as of `Pi0.loss`, and not used: nothing is drawn.
        """
        zeros = torch.zeros_like(actions)
        return squared_distance(self.predict(observation), actions, zeros, action_mask)

    @torch.no_grad()
    def sample_actions(
        self, observation: Observation, noise: Tensor | None = None, steps: int = 1, generator=None
    ) -> Tensor:
        """The same chunk, [B, H, D], whatever the noise."""
        return self.predict(observation)


class L1Regression(Regression):
    """The same network, trained by the absolute error: it predicts the median of every number."""

    def loss(self, observation, actions, action_mask=None, generator=None) -> Tensor:
        """Mean absolute error over real steps. Arguments as of `Regression.loss`."""
        error = (self.predict(observation) - actions).abs()
        return error.mean() if action_mask is None else error[action_mask].mean()


class GaussianRegression(nn.Module):
    """A regression with Gaussian noise around it: the honest rival of a generative model.

    The noise has the covariance of the regression's residuals, over all H * D entries: it is as
    correlated along the chunk as the errors are.

    residuals: [N, H, D], actions minus predictions on training episodes, of chunks without padding.
    Raises ValueError for fewer residuals than entries.
    """

    def __init__(self, regression: Regression, residuals: Tensor):
        super().__init__()
        flat = residuals.double().flatten(1)
        if len(flat) <= flat.shape[1]:
            raise ValueError(
                f"{len(flat)} residuals cannot tell a covariance of {flat.shape[1]} entries: "
                "give more"
            )
        values, vectors = torch.linalg.eigh(flat.T.cov())
        self._take(regression, (vectors * values.clamp(min=0).sqrt()).float())

    def _take(self, regression: Regression, root: Tensor) -> None:
        self.regression, self.config = regression, regression.config
        self.stats, self.about = regression.stats, regression.about
        self.register_buffer("root", root)  # root @ root.T is the covariance

    @torch.no_grad()
    def sample_actions(
        self,
        observation: Observation,
        noise: Tensor | None = None,
        steps: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The predicted chunk plus correlated noise, [B, H, D]."""
        mean = self.regression.predict(observation)
        noise = torch.randn(mean.shape, generator=generator) if noise is None else noise
        return mean + (noise.flatten(1).to(mean) @ self.root.T.to(mean)).view_as(mean)

    def save_pretrained(self, folder: str | Path, stats=None, about: dict | None = None) -> None:
        """The regression's files and the noise's. stats, about: as of `Pi0.save_pretrained`."""
        self.regression.save_pretrained(folder, stats=stats, about=about)
        write_atomically(
            Path(folder).expanduser() / NOISE,
            lambda path: write_tensors(path, {"root": self.root}, {}),
        )

    @classmethod
    def from_pretrained(
        cls, path_or_repo: str | Path, dtype=None, revision: str | None = None
    ) -> "GaussianRegression":
        """What `save_pretrained` wrote, in eval mode."""
        file = open_checkpoint(path_or_repo, revision).folder / NOISE
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing: the folder holds no GaussianRegression")
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        regression = Regression.from_pretrained(path_or_repo, dtype=dtype, revision=revision)
        model._take(regression, read_tensors(file)[0]["root"])
        return model.eval()


def residuals(regression: Regression, dataset, indices: Tensor, batch_size: int = 256) -> Tensor:
    """Actions minus predictions, [N, H, D], of those `indices` whose chunk has no padding."""
    device, found = regression.queries.device, []
    with torch.no_grad():
        for part in indices.split(batch_size):
            observation, actions, mask = dataset.batch(part)
            predicted = regression.predict(observation.to(device)).cpu()
            found.append((actions - predicted)[mask.all(dim=1)])
    return torch.cat(found)
