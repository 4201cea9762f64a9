"""Some episodes of a data set, as a data set: what fewer demonstrations are worth, or what is held
out.
"""

import torch
from torch import Tensor

from minipi0.observation import Observation


class Subset:
    """The items of some episodes: all that `train.fit` and `evaluate.open_loop` ask for.

    whole: what `data.load` returned. Its statistics stay those of all its training episodes, so
        that subsets can be compared. episodes: numbers, some of `whole.episodes`.
    Raises ValueError for an episode that is not there.
    """

    def __init__(self, whole, episodes: list[int]):
        if absent := sorted(set(episodes) - set(whole.episodes)):
            raise ValueError(f"the data set holds no episode {absent[0]}")
        self.whole, self.episodes, self.stats = whole, list(episodes), whole.stats
        wanted = torch.isin(whole.episode_index, torch.tensor(self.episodes))
        self.kept = wanted.nonzero().flatten()
        self.episode_index = whole.episode_index[self.kept]

    def about(self) -> dict:
        """As of the whole data set."""
        return self.whole.about()

    def __len__(self) -> int:
        return len(self.kept)

    def batch(self, indices) -> tuple[Observation, Tensor, Tensor]:
        """As of the whole data set, with the subset's own numbering from 0."""
        return self.whole.batch(self.kept[indices])
