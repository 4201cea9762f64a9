"""Several data sets as one, pi0's way: every robot padded to the largest, none diluted.

    data.load([one, two], horizon=50, weights=[0.7, 0.3])

Each data set is normalised by its own statistics. What a smaller robot lacks, action dims, state
dims or cameras, is zero and masked.
Axes: N items, B batch, L tokens.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from minipi0.observation import Observation


class Mixture:
    """Items of several data sets. Made by `load`.

    parts: list of ActionChunks. weights: how often an item of each is drawn, in any unit; by
        default as often as it has items. pi0's rule is n**0.43 for a data set of n items.
    An epoch is as long as it takes for every item to come at least once, the rarest exactly once;
    items of the others come again.

    episodes: of all parts. episode_index: int64[N], numbered through. cameras: the slots' names.
    state_dim, action_dim: of the largest robot, or as asked for.
    Raises ValueError for weights that are not positive and finite, or not one per data set.
    """

    def __init__(self, parts: list, weights: list[float] | None = None):
        lengths = torch.tensor([len(part) for part in parts])
        weights = lengths.tolist() if weights is None else weights
        shares = torch.tensor(weights, dtype=torch.float64)
        if len(shares) != len(parts) or not (shares > 0).all() or not shares.isfinite().all():
            raise ValueError(
                f"weights must be {len(parts)} positive numbers, one per data set, not {weights}"
            )
        self.parts, self.weights = parts, (shares / shares.sum()).tolist()
        longest = (lengths / shares).max()
        self.counts = (shares * longest).round().long().maximum(lengths)  # items of an epoch
        self.ends = self.counts.cumsum(0)
        self.horizon, self.image_size = parts[0].horizon, parts[0].image_size
        self.state_dim, self.action_dim = (
            max(getattr(part, f"{what}_dim") or getattr(part, name).shape[1] for part in parts)
            for what, name in (("state", "state"), ("action", "actions"))
        )
        slots = max(len(part.cameras) for part in parts)
        for part in parts:
            empty = [None] * (slots - len(part.cameras))
            part.cameras, part.pictures = part.cameras + empty, part.pictures + empty
            part.state_dim, part.action_dim = self.state_dim, self.action_dim
        names = zip(*(part.cameras for part in parts), strict=True)
        self.cameras = [" or ".join(dict.fromkeys(filter(None, slot))) or None for slot in names]
        self.length = max(part.tokens.shape[1] for part in parts)  # L
        self.episodes = [episode for part in parts for episode in part.episodes]
        self.generator = parts[0].generator

    @property
    def episode_index(self) -> Tensor:
        found, first = [], 0
        for part, count in zip(self.parts, self.counts.tolist(), strict=True):
            found.append(first + part.episode_index[torch.arange(count) % len(part)])
            first += int(part.episode_index.max()) + 1
        return torch.cat(found)

    def about(self) -> dict:
        """What a checkpoint should keep: of each data set, what `ActionChunks.about` says, and its
        statistics. A policy is then told which of them its robot is.
        """
        told = [
            part.about()
            | {"data": part.name, "stats": {name: x.tolist() for name, x in part.stats.items()}}
            for part in self.parts
        ]
        common = {name: told[0][name] for name in ("horizon", "tokenizer")}
        return common | {"data_sets": told, "weights": self.weights}

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, i: int) -> tuple[Observation, Tensor, Tensor]:
        """Item i, as in `batch` but without the first axis."""
        observation, actions, mask = self.batch([i])
        return observation[0], actions[0], mask[0]

    def batch(self, indices) -> tuple[Observation, Tensor, Tensor]:
        """The items `indices` as one batch: as of `ActionChunks.batch`, the mask bool[B, H, D]."""
        i = torch.as_tensor(indices).long()
        if len(i) and not -len(self) <= i.min() <= i.max() < len(self):
            raise IndexError(
                f"items are numbered 0 … {len(self) - 1}, asked for {i.min()} … {i.max()}"
            )
        i = i % len(self)
        which = torch.searchsorted(self.ends, i, right=True)
        order, found = [], []
        for k, part in enumerate(self.parts):
            here = (which == k).nonzero().flatten()
            if len(here) or not found:
                start = self.ends[k] - self.counts[k]
                found.append(self._padded(part.batch((i[here] - start) % len(part))))
                order.append(here)
        back = torch.cat(order).argsort()
        fields = zip(*(vars(seen).values() for seen, _, _ in found), strict=True)
        observation = Observation(*(torch.cat(field)[back] for field in fields))
        actions, mask = (torch.cat([one[k] for one in found])[back] for k in (1, 2))
        return observation, actions, mask

    def batches(
        self, n: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Observation, Tensor, Tensor]]:
        """One epoch in batches of n, as of `ActionChunks.batches`."""
        if n < 1:
            raise ValueError(f"a batch has at least 1 item, not {n}")
        order = torch.randperm(len(self), generator=generator or self.generator)
        return (self.batch(indices) for indices in order.split(n))

    def _padded(self, batch):
        """A part's batch with prompts of the common length."""
        seen, actions, mask = batch
        more = (0, self.length - seen.tokens.shape[1])
        words = dict(tokens=F.pad(seen.tokens, more), token_mask=F.pad(seen.token_mask, more))
        return replace(seen, **words), actions, mask
