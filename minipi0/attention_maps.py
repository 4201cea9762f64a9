"""To which keys the queries attend: record every layer's softmax weights while a model runs."""

from contextlib import contextmanager

import torch
from torch import Tensor

from minipi0 import gemma


@contextmanager
def record():
    """Inside this block, every call of `gemma.attend` also appends its weights to a list.

    It is slow and large, since nothing is fused: meant for pictures.
    Yields the list of float32[B, N, Tq, Tk]. `Pi0.velocity` gives depth - 1 maps of the prefix (its
    last layer computes keys and values alone), then depth maps of the suffix over both.
    """
    maps: list[Tensor] = []
    fused = gemma.attend

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        keys = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
        scores = (q @ keys.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
        lowest = torch.finfo(scores.dtype).min  # not -inf: a padded query's row would be NaN
        maps.append(scores.masked_fill(~mask[:, None], lowest).softmax(dim=-1).detach())
        return fused(q, k, v, mask)

    gemma.attend = attend
    try:
        yield maps
    finally:
        gemma.attend = fused
