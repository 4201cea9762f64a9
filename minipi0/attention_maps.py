"""What attention looked at: record the softmax weights of every layer while a model runs."""

from contextlib import contextmanager

import torch
from torch import Tensor

from minipi0 import gemma


@contextmanager
def record():
    """Inside this block every call of `gemma.attend` also appends its weights, (B, N, Tq, Tk) float32, to the list that it yields.

    Slow and large, since nothing is fused: meant for pictures. A `Pi0.velocity` gives depth - 1 maps of the prefix (its last layer
    asks nothing), then depth maps of the suffix over prefix and suffix.
    """
    maps: list[Tensor] = []
    fused = gemma.attend

    def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        group = q.shape[1] // k.shape[1]
        keys = k.repeat_interleave(group, dim=1)
        scores = (q @ keys.transpose(-1, -2)).float() * q.shape[-1] ** -0.5 + bias[
            :, :, ::group
        ].float()
        maps.append(torch.softmax(scores, dim=-1).detach())
        return fused(q, k, v, bias)

    gemma.attend = attend
    try:
        yield maps
    finally:
        gemma.attend = fused
