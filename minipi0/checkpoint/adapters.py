"""Weights as files know them: low-rank adapters folded in, and in one piece.

Between processes a weight may be shared out (torch's DTensor), each having some of its rows.
"""

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(x: Tensor) -> Tensor:
    """A tensor in one piece; of one that is shared out all processes must ask together."""
    return x.full_tensor().cpu() if isinstance(x, DTensor) else x


def shared_like(x: Tensor, like: Tensor) -> Tensor:
    """A whole tensor with the dtype and device of `like`, and shared out as that is."""
    x = x.to(dtype=like.dtype, device=like.device)
    if isinstance(like, DTensor):
        return distribute_tensor(x, like.device_mesh, like.placements)
    return x


@torch.no_grad()
def plain_parameters(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, as if it had never had an adapter.

    Where peft put one, the weight is base + scaling * B @ A: added in float32, then rounded to the
    base's dtype, on the CPU. Other weights are the model's own tensors.
    """
    weights: dict[str, Tensor] = {}
    folded = [(name, one) for name, one in model.named_modules() if hasattr(one, "lora_A")]
    for name, layer in folded:
        base = layer.base_layer
        delta = sum(layer.get_delta_weight(adapter).cpu().float() for adapter in layer.lora_A)
        weights[f"{name}.weight"] = (base.weight.cpu().float() + delta).to(base.weight.dtype)
        if base.bias is not None:
            weights[f"{name}.bias"] = base.bias
    inside = tuple(f"{name}." for name, _ in folded)
    for name, parameter in model.named_parameters():
        if not inside or not name.startswith(inside):
            weights[name] = whole(parameter)
    return weights
