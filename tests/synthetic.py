"""A tiny pi0 and a data set without files, for tests of what trains and scores models."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from minipi0 import ExpertConfig, Observation, Pi0, Pi0Config, VisionConfig
from minipi0.checkpoint import read_tensors

TINY = Pi0Config(
    vlm=ExpertConfig(width=16, depth=2, mlp_dim=32, num_heads=2, num_kv_heads=1, head_dim=8),
    action_expert=ExpertConfig(
        width=24, depth=2, mlp_dim=32, num_heads=2, num_kv_heads=1, head_dim=8
    ),
    vision=VisionConfig(image_size=8, patch_size=4, width=16, depth=1, num_heads=2, mlp_dim=32),
    vocab_size=20,
    action_dim=3,
    state_dim=2,
    horizon=4,
)


class Chunks:
    """A data set of 37 chunks that all go where the state says; the last two steps of every third
    one are padding.
    """

    def __init__(self, padding: float = 0.0, fail_at: int | None = None):
        generator = torch.Generator().manual_seed(7)
        self.images = torch.rand(37, 1, 3, 8, 8, generator=generator) * 2 - 1
        self.state = torch.randn(37, 2, generator=generator)
        self.actions = self.state[:, None, :1].repeat(1, 4, 3)
        self.mask = torch.ones(37, 4, dtype=torch.bool)
        self.mask[::3, 2:] = False
        self.actions[~self.mask] = padding
        self.calls, self.fail_at = 0, fail_at

    def __len__(self):
        return 37

    def batch(self, indices):
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        self.calls += 1
        b = len(indices)
        seen, words = torch.ones(b, 1, dtype=torch.bool), torch.ones(b, 3, dtype=torch.bool)
        observation = Observation(
            self.images[indices], seen, torch.full((b, 3), 5), words, self.state[indices]
        )
        return observation, self.actions[indices], self.mask[indices]


def as_others_write_it(file: Path) -> None:
    """A safetensors file without what minipi0 notes in it: sizes, statistics, checksums."""
    tensors = {name: x.clone() for name, x in read_tensors(file)[0].items()}  # not the file's map
    save_file(tensors, file)


def tiny() -> Pi0:
    torch.manual_seed(0)
    return Pi0(TINY)
