"""Gemma layers, and how two experts of different width share one attention (pi0, Sec. IV and appendix B).

An *expert* is a stack of Gemma layers with weights of its own. Each token belongs to one expert for its whole way: images and text to
the VLM, state and actions to the action expert (a mixture of experts, but routed by the kind of token, not by a learned router).
The experts meet in one place only: in every layer there is ONE attention, over the keys and values of all tokens.

The prefix (VLM) never looks at the suffix (action expert), so this one attention can be computed in two calls without changing a number:
first the prefix's rows of the mask, then the suffix's. That is why the prefix's keys and values can be cached while the actions are
integrated over ten steps, and why training and sampling run the same two functions. Notebook 05 computes it in one piece, as a check.

Axes: B batch, T tokens (P prefix, S suffix), W an expert's width, N heads, K kv heads, G = N / K, E head_dim.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from minipi0.config import ExpertConfig

Cache = list[tuple[Tensor, Tensor]]  # per layer: rotated keys, and values, (B, K, T, E) each
Table = tuple[Tensor, Tensor]  # cosines and sines of the positions' angles


def widened(x: Tensor) -> Tensor:
    """In float32 at least: bf16 is too coarse for a norm or an angle."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RMSNorm(nn.Module):
    """x / rms(x) * (1 + w), in float32. Gemma stores w around 0, so a fresh norm scales by one."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(
            widened(x), self.weight.shape, 1 + widened(self.weight), eps=1e-6
        ).type_as(x)


def rotary_table(positions: Tensor, head_dim: int) -> Table:
    """Cosine and signed sine of position * 10000^(-2i / head_dim). positions: (B, T). Returns two (B, 1, T, E), float32."""
    frequency = 1 / 1e4 ** (
        torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    )
    angle = positions[:, None, :, None].float() * frequency  # (B, 1, T, E/2)
    return torch.cat([angle.cos(), angle.cos()], dim=-1), torch.cat(
        [-angle.sin(), angle.sin()], dim=-1
    )


def rotate(x: Tensor, table: Table) -> Tensor:
    """Rotary position embedding: turn each pair (x_i, x_{i + E/2}) of x (B, N, T, E) by its position's angle, in float32.

    (a, b) becomes (a cos - b sin, b cos + a sin): x times cosine, plus x with its halves swapped times the signed sine.
    """
    cos, sin = table
    wide = widened(x)
    return torch.addcmul(wide * cos, wide.roll(x.shape[-1] // 2, dims=-1), sin).type_as(x)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Softmax attention with grouped kv heads. q: (B, N, Tq, E), k and v: (B, K, Tk, E), bias: (B, 1, Tq * G, Tk). Returns (B, Tq, N * E).

    The G = N / K query heads that share a kv head ask it independently of each other, just as G tokens would: so they become rows.
    """
    rows = q.unflatten(1, (k.shape[1], -1)).transpose(2, 3).flatten(2, 3)  # (B, K, Tq * G, E)
    out = F.scaled_dot_product_attention(rows, k, v, attn_mask=bias).unflatten(
        2, (q.shape[2], -1)
    )  # (B, K, Tq, G, E)
    return out.transpose(1, 2).flatten(2)


def attention_bias(allowed: Tensor, dtype: torch.dtype, group: int) -> Tensor:
    """(B, Tq, Tk) bool, True where a query may look, as numbers added to the scores: (B, 1, Tq * G, Tk), 0 or very negative.

    Not -inf: a padded query may look nowhere, and softmax over nothing but -inf is NaN.
    """
    bias = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(
        ~allowed, torch.finfo(dtype).min / 2
    )
    return bias.repeat_interleave(group, dim=1)[:, None]


class Layer(nn.Module):
    """One Gemma layer of one expert, cut in two where the experts' tokens meet: `project` before the joint attention, `finish` after it."""

    def __init__(self, config: ExpertConfig):
        super().__init__()
        n, k, e = config.num_heads, config.num_kv_heads, config.head_dim
        self.heads = (n, k)
        self.head_dim = e
        self.attention_norm = RMSNorm(config.width)
        self.qkv = nn.Linear(
            config.width, (n + 2 * k) * e, bias=False
        )  # queries, keys, values in one product
        self.attention_out = nn.Linear(n * e, config.width, bias=False)
        self.mlp_norm = RMSNorm(config.width)
        self.gate = nn.Linear(config.width, config.mlp_dim, bias=False)
        self.up = nn.Linear(config.width, config.mlp_dim, bias=False)
        self.down = nn.Linear(config.mlp_dim, config.width, bias=False)

    def project(self, x: Tensor, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        """x: (B, T, W). Returns queries (B, N, T, E), keys and values (B, K, T, E); queries and keys rotated."""
        n, k = self.heads
        qkv = (
            self.qkv(self.attention_norm(x)).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        )  # (B, N + 2K, T, E)
        qk, v = qkv.split((n + k, k), dim=1)
        q, k = rotate(qk, table).split((n, k), dim=1)
        return q, k, v

    def project_kv(self, x: Tensor, table: Table) -> tuple[Tensor, Tensor]:
        """Keys and values alone, where nobody will read what these tokens' queries would find."""
        weight = self.qkv.weight[self.heads[0] * self.head_dim :]
        k, v = (
            F.linear(self.attention_norm(x), weight)
            .unflatten(-1, (-1, self.head_dim))
            .transpose(1, 2)
            .chunk(2, dim=1)
        )
        return rotate(k, table), v

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Residual, then the GeGLU MLP with its own residual. x: (B, T, W), attended: (B, T, N * E). Returns (B, T, W)."""
        x = x + self.attention_out(attended)
        normed = self.mlp_norm(x)
        return x + self.down(F.gelu(self.gate(normed), approximate="tanh") * self.up(normed))


class Expert(nn.Module):
    """A stack of layers and a final norm."""

    def __init__(self, config: ExpertConfig):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.norm = RMSNorm(config.width)


class TwoExperts(nn.Module):
    """The VLM expert reads the prefix; the action expert reads the suffix and, in every layer, the prefix's keys and values.

    Raises ValueError for experts that cannot share an attention.
    """

    def __init__(self, vlm: ExpertConfig, action: ExpertConfig):
        super().__init__()
        for name in ("depth", "num_heads", "num_kv_heads", "head_dim"):
            ours, theirs = getattr(vlm, name), getattr(action, name)
            if ours != theirs:
                raise ValueError(
                    f"the experts attend jointly, but {name} is {ours} in the VLM and {theirs} in the action expert"
                )
        self.vlm, self.action = Expert(vlm), Expert(action)
        self.head_dim, self.group = vlm.head_dim, vlm.num_heads // vlm.num_kv_heads
        self.checkpointing = False  # True: recompute each layer in the backward pass instead of storing what it computed

    def prefix(
        self, x: Tensor, allowed: Tensor, positions: Tensor, output: bool = False
    ) -> tuple[Tensor | None, Cache]:
        """The VLM alone over the prefix: once per observation, whatever the number of Euler steps.

        x: (B, P, W_vlm); allowed: (B, P, P) bool, rows are queries; positions: (B, P). Returns every layer's keys and values, and only
        with output=True the normed output (B, P, W_vlm): pi0 never reads it, so the last layer stops at its keys and values.
        """
        bias, table = (
            attention_bias(allowed, x.dtype, self.group),
            rotary_table(positions, self.head_dim),
        )
        cache: Cache = []
        for layer in self.vlm.layers[:-1]:
            x, *kv = self._run(prefix_layer, layer, x, bias, table)
            cache.append(tuple(kv))
        last = self.vlm.layers[-1]
        if output:
            x, *kv = self._run(prefix_layer, last, x, bias, table)
            return self.vlm.norm(x), [*cache, tuple(kv)]
        return None, [*cache, last.project_kv(x, table)]

    def suffix(self, x: Tensor, bias: Tensor, table: Table, cache: Cache) -> Tensor:
        """The action expert over the suffix, looking at the cached prefix too. The cache is read, never extended.

        x: (B, S, W_action); bias: (B, 1, S * G, P + S) from `attention_bias` and table, the suffix positions' `rotary_table`, are the same
        in every Euler step, so the caller computes them once. Returns (B, S, W_action), normed.
        """
        for layer, (prefix_k, prefix_v) in zip(self.action.layers, cache, strict=True):
            x = self._run(suffix_layer, layer, x, bias, table, prefix_k, prefix_v)
        return self.action.norm(x)

    def _run(self, function, *args):
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)


def prefix_layer(
    layer: Layer, x: Tensor, bias: Tensor, table: Table
) -> tuple[Tensor, Tensor, Tensor]:
    """One VLM layer. Returns its output and the keys and values that the action expert will read."""
    q, k, v = layer.project(x, table)
    return layer.finish(x, attend(q, k, v, bias)), k, v


def suffix_layer(
    layer: Layer, x: Tensor, bias: Tensor, table: Table, prefix_k: Tensor, prefix_v: Tensor
) -> Tensor:
    """One layer of the action expert: its own queries over the keys and values of both experts, prefix first."""
    q, k, v = layer.project(x, table)
    k, v = torch.cat([prefix_k, k], dim=2), torch.cat([prefix_v, v], dim=2)
    return layer.finish(x, attend(q, k, v, bias))
