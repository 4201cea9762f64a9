"""Octo's small network, the head: from a readout, a noisy chunk and a time to a chunk.

As released (octo/model/components/diffusion.py): Fourier features of the time with learned
frequencies, residual blocks with LayerNorm, four times as wide inside. Axes as in `octo`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS = 20  # of noise
TIME = 32  # numbers that tell the head how noisy the chunk is
BLOCKS, WIDTH = 3, 256


class Block(nn.Module):
    """x + MLP(norm(x)), four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.silu(self.wide(self.norm(x))))


class Head(nn.Module):
    """The small network. readout: its numbers, W. entries: the chunk's, H * D."""

    def __init__(self, readout: int, entries: int):
        super().__init__()
        self.frequencies = nn.Parameter(0.2 * torch.randn(TIME // 2))
        self.time = nn.Sequential(nn.Linear(TIME, 2 * TIME), nn.SiLU(), nn.Linear(2 * TIME, TIME))
        self.enter = nn.Linear(TIME + readout + entries, WIDTH)
        self.blocks = nn.Sequential(*(Block(WIDTH) for _ in range(BLOCKS)))
        self.leave = nn.Linear(WIDTH, entries)

    def forward(self, readout: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """What is to be predicted of the chunk, [B, H, D].

        readout: [B, W]; noisy: [B, H, D]; time: [B], from 0, hardly any noise, to STEPS.
        """
        phase = 2 * math.pi * time.to(readout)[:, None] * self.frequencies  # (B, TIME / 2)
        time = self.time(torch.cat([phase.cos(), phase.sin()], dim=-1))
        x = self.enter(torch.cat([time, readout, noisy.to(readout).flatten(1)], dim=-1))
        return self.leave(F.silu(self.blocks(x))).view_as(noisy)
