"""pi0 once more, as naively as possible: slow, obvious, and sharing no line with minipi0.

What the tests compare with.

All tokens of both experts in ONE attention per layer over the full (B, T, T) mask; no cache, no
fused kernel, no early stop; rotation by complex numbers; a sampler that recomputes everything in
every step. SigLIP alone is taken as it is, from transformers.
"""

import math

import torch
from torch.nn import functional as F


def norm(x, weight):
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * (1 + weight)


def experts(model, sizes, prefix, suffix, allowed, positions):
    """model: TwoExperts; sizes: an ExpertConfig; prefix (B, P, W_vlm), suffix (B, S, W_action),
    allowed (B, T, T), positions (B, T).
    """
    n, k, e = sizes.num_heads, sizes.num_kv_heads, sizes.head_dim
    frequency = 1 / 1e4 ** (
        torch.arange(0, e, 2).float() / e
    )  # the table in float32, as released code has it
    angle = positions[..., None].float() * frequency
    turn = torch.complex(angle.cos(), angle.sin()).to(torch.complex128)

    def rope(x):  # (B, T, E)
        z = torch.complex(x[..., : e // 2].double(), x[..., e // 2 :].double()) * turn
        return torch.cat([z.real, z.imag], dim=-1)

    xs, p = [prefix.double(), suffix.double()], prefix.shape[1]
    for layers in zip(model.vlm.layers, model.action.layers, strict=True):
        qkv = [
            F.linear(norm(x, layer.attention_norm.weight), layer.qkv.weight)
            for x, layer in zip(xs, layers, strict=True)
        ]
        heads = torch.cat(qkv, dim=1).unflatten(-1, (n + 2 * k, e)).unbind(2)  # each (B, T, E)
        outputs = []
        for i in range(n):
            query, key, value = (
                rope(heads[i]),
                rope(heads[n + i // (n // k)]),
                heads[n + k + i // (n // k)],
            )
            scores = (query @ key.transpose(1, 2) / math.sqrt(e)).masked_fill(~allowed, -math.inf)
            outputs.append(torch.softmax(scores, dim=-1).nan_to_num() @ value)
        attended = torch.cat(outputs, dim=-1)
        for j, (layer, part) in enumerate(
            zip(layers, (attended[:, :p], attended[:, p:]), strict=True)
        ):
            x = xs[j] + part @ layer.attention_out.weight.T
            normed = norm(x, layer.mlp_norm.weight)
            gate, up = normed @ layer.gate.weight.T, normed @ layer.up.weight.T
            gelu = (
                0.5 * gate * (1 + torch.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
            )
            xs[j] = x + (gelu * up) @ layer.down.weight.T
    return norm(xs[0], model.vlm.norm.weight), norm(xs[1], model.action.norm.weight)


def velocity(model, observation, noisy_actions, tau: float):
    """model: a Pi0 in float64.

    One item after the other, with its padding and masked cameras cut out rather than masked.
    """
    return torch.stack(
        [
            _velocity(model, observation[[i]], noisy_actions[[i]], float(tau))
            for i in range(len(noisy_actions))
        ]
    )


def _velocity(model, observation, noisy_actions, tau):
    c = model.config
    images = observation.images[0, observation.image_mask[0]]
    words = model.embedding.weight[observation.tokens[0, observation.token_mask[0]]] * math.sqrt(
        c.vlm.width
    )
    prefix = words
    if len(images):
        prefix = torch.cat(
            [model.projector(model.vision(images).last_hidden_state).flatten(0, 1), words]
        )
    state = model.state_proj(observation.state[0])
    half = c.action_expert.width // 2
    phases = [
        2 * math.pi * (1 - tau) / (4e-3 * (4 / 4e-3) ** (i / (half - 1))) for i in range(half)
    ]
    time = torch.tensor(
        [math.sin(x) for x in phases] + [math.cos(x) for x in phases], dtype=torch.float64
    )
    suffix = [state]
    for action in noisy_actions[0]:
        x = model.action_time_mlp_in(torch.cat([model.action_in_proj(action), time]))
        suffix.append(model.action_time_mlp_out(x * torch.sigmoid(x)))
    kinds = ["prefix"] * len(prefix) + ["state"] + ["action"] * c.horizon
    sees = {
        "prefix": {"prefix"},
        "state": {"prefix", "state"},
        "action": {"prefix", "state", "action"},
    }
    allowed = torch.tensor([[key in sees[query] for key in kinds] for query in kinds])
    rows, places = torch.stack(suffix), torch.arange(len(kinds))
    inputs = (x[None] for x in (prefix, rows, allowed, places))
    _, out = experts(model.experts, c.vlm, *inputs)
    return model.action_out_proj(out[0, 1:])


def sample(model, observation, noise, steps):
    x = noise
    for i in range(steps):
        x = x + velocity(model, observation, x, i / steps) / steps
    return x
