"""Gemma layers, and how two experts of different width share one attention (pi0, Sec. IV, app. B).

An *expert* is a stack of Gemma layers with weights of its own. Every token belongs to one expert,
in all layers: images and text to the VLM, state and actions to the action expert. (This is a
mixture of experts, but routed by the kind of token, not by a learned router.) The experts meet in
one place only: in every layer there is ONE attention, over the keys and values of all tokens.

The prefix (VLM) never attends to the suffix (action expert). So the one attention can be computed
in two calls without changing a number: first the prefix's queries, then the suffix's. That is why
the prefix's keys and values can be cached while the actions are integrated over ten steps, and why
training and sampling run the same two functions. Notebook 05 computes it in one piece, as a check.

Axes: B batch, T tokens (P prefix, S suffix), W an expert's width, N heads, K kv heads, E head_dim.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from minipi0.config import ExpertConfig

Cache = list[tuple[Tensor, Tensor]]  # per layer: rotated keys, and values, [B, K, T, E] each
Table = tuple[Tensor, Tensor]  # cosines and sines of the positions' angles, [B, 1, T, E] each


def fitted(x: Tensor, weight: Tensor) -> Tensor:
    """x in the dtype of the weight that reads it: frozen parts may be bf16, trained ones float32.

    Under autocast the products see to it themselves.
    """
    device = x.device.type
    return x if device != "meta" and torch.is_autocast_enabled(device) else x.to(weight.dtype)


def widened(x: Tensor) -> Tensor:
    """x in float32 at least: bf16 is too coarse for a norm or an angle."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RMSNorm(nn.Module):
    """x / rms(x) * (1 + w), in float32. Gemma stores w around 0: a fresh norm scales by one."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        scale = 1 + widened(self.weight)
        return F.rms_norm(widened(x), scale.shape, scale, eps=1e-6).type_as(x)


def rotary_table(positions: Tensor, head_dim: int) -> Table:
    """Cosine and signed sine of the angles position * 10000^(-2i / head_dim).

    positions: int[B, T]. Returns two float32[B, 1, T, E].
    """
    i = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    frequency = 1 / 1e4 ** (i / head_dim)
    angle = positions[:, None, :, None].float() * frequency  # (B, 1, T, E/2)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x: Tensor, table: Table) -> Tensor:
    """Rotary position embedding (RoPE): turn each pair (x_i, x_{i + E/2}) by its position's angle.

    (a, b) becomes (a cos - b sin, b cos + a sin): x times cosine, plus x with its halves swapped
    times the signed sine. The dot product of a query and a key then depends on the difference of
    their positions alone.

    x: [B, N, T, E], computed in float32.
    """
    cos, sin = table
    wide = widened(x)
    swapped = wide.roll(x.shape[-1] // 2, dims=-1)
    return torch.addcmul(wide * cos, swapped, sin).type_as(x)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention, in which N / K query heads share a key and value head.

    q: [B, N, Tq, E]; k, v: [B, K, Tk, E].
    mask: bool[B, Tq, Tk], True where query i may attend to key j. A query that may attend to
        nothing gets zeros.
    Returns [B, Tq, N * E].
    """
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None], enable_gqa=True)
    return out.transpose(1, 2).flatten(2)


class Layer(nn.Module):
    """One Gemma layer of one expert, cut in two where the experts' tokens meet.

    `project` comes before the joint attention, `finish` after it.
    """

    def __init__(self, config: ExpertConfig):
        super().__init__()
        n, k, e = config.num_heads, config.num_kv_heads, config.head_dim
        self.heads = (n, k)
        self.head_dim = e
        self.attention_norm = RMSNorm(config.width)
        self.qkv = nn.Linear(config.width, (n + 2 * k) * e, bias=False)  # one product for all three
        self.attention_out = nn.Linear(n * e, config.width, bias=False)
        self.mlp_norm = RMSNorm(config.width)
        self.gate = nn.Linear(config.width, config.mlp_dim, bias=False)
        self.up = nn.Linear(config.width, config.mlp_dim, bias=False)
        self.down = nn.Linear(config.mlp_dim, config.width, bias=False)

    def project(self, x: Tensor, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of every token; queries and keys are rotated.

        x: [B, T, W]. Returns q [B, N, T, E], k and v [B, K, T, E].
        """
        n, k = self.heads
        qkv = self._heads(self.qkv(self.attention_norm(x)))  # (B, N + 2K, T, E)
        qk, v = qkv.split((n + k, k), dim=1)
        q, k = rotate(qk, table).split((n, k), dim=1)
        return q, k, v

    def project_kv(self, x: Tensor, table: Table) -> tuple[Tensor, Tensor]:
        """Keys and values alone, for tokens whose own output is not needed."""
        qkv = self._heads(self.qkv(self.attention_norm(x)))  # whole: it may hold an adapter
        k, v = qkv[:, self.heads[0] :].chunk(2, dim=1)
        return rotate(k, table), v

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The attention's output projection and the GeGLU MLP, each with a residual connection.

        x: [B, T, W]; attended: [B, T, N * E]. Returns [B, T, W].
        """
        x = x + self.attention_out(attended)
        normed = self.mlp_norm(x)
        return x + self.down(F.gelu(self.gate(normed), approximate="tanh") * self.up(normed))

    def _heads(self, x: Tensor) -> Tensor:
        """[B, T, heads * E] as [B, heads, T, E]."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


class Expert(nn.Module):
    """A stack of layers and a final norm."""

    def __init__(self, config: ExpertConfig):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.norm = RMSNorm(config.width)


class TwoExperts(nn.Module):
    """The VLM expert reads the prefix. The action expert reads the suffix and, in every layer, the
    prefix's keys and values.

    Raises ValueError for experts that cannot share an attention.
    """

    def __init__(self, vlm: ExpertConfig, action: ExpertConfig):
        super().__init__()
        for name in ("depth", "num_heads", "num_kv_heads", "head_dim"):
            ours, theirs = getattr(vlm, name), getattr(action, name)
            if ours != theirs:
                raise ValueError(
                    f"the experts attend jointly, but {name} is {ours} in the VLM "
                    f"and {theirs} in the action expert"
                )
        self.vlm, self.action = Expert(vlm), Expert(action)
        self.head_dim = vlm.head_dim
        self.checkpointing = False  # True: the backward pass recomputes each layer, to save memory

    def prefix(
        self, x: Tensor, mask: Tensor, positions: Tensor, output: bool = False
    ) -> tuple[Tensor | None, Cache]:
        """The VLM alone over the prefix: once per observation, whatever the number of Euler steps.

        x: [B, P, W_vlm]; mask: bool[B, P, P] as in `attend`; positions: int[B, P].
        Returns keys and values of every layer. pi0 never uses the prefix's output; output=True
        computes it too, [B, P, W_vlm], normed.
        """
        x = fitted(x, self.vlm.norm.weight)
        table = rotary_table(positions, self.head_dim)
        cache: Cache = []
        *layers, last = self.vlm.layers
        for layer in layers:
            x, *kv = self._run(prefix_layer, layer, x, mask, table)
            cache.append(tuple(kv))
        if output:
            x, *kv = self._run(prefix_layer, last, x, mask, table)
            return self.vlm.norm(x), [*cache, tuple(kv)]
        return None, [*cache, last.project_kv(x, table)]

    def suffix(self, x: Tensor, mask: Tensor, table: Table, cache: Cache) -> Tensor:
        """The action expert over the suffix. It attends to the cached prefix too.

        The cache is read, never extended.

        x: [B, S, W_action]; mask: bool[B, S, P + S]; table: the suffix positions' `rotary_table`.
        Returns [B, S, W_action], normed.
        """
        x = fitted(x, self.action.norm.weight)
        for layer, (prefix_k, prefix_v) in zip(self.action.layers, cache, strict=True):
            x = self._run(suffix_layer, layer, x, mask, table, prefix_k, prefix_v)
        return self.action.norm(x)

    def _run(self, function, *args):
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)


def prefix_layer(
    layer: Layer, x: Tensor, mask: Tensor, table: Table
) -> tuple[Tensor, Tensor, Tensor]:
    """One VLM layer: its output, and the keys and values that the action expert will read."""
    q, k, v = layer.project(x, table)
    return layer.finish(x, attend(q, k, v, mask)), k, v


def suffix_layer(
    layer: Layer, x: Tensor, mask: Tensor, table: Table, prefix_k: Tensor, prefix_v: Tensor
) -> Tensor:
    """One layer of the action expert: its queries, the keys and values of both, prefix first."""
    q, k, v = layer.project(x, table)
    k = torch.cat([prefix_k.type_as(k), k], dim=2)
    v = torch.cat([prefix_v.type_as(v), v], dim=2)
    return layer.finish(x, attend(q, k, v, mask))
