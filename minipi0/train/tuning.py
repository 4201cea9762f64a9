"""Train a part of a model: freeze the rest, or put small matrices beside its large ones (LoRA).

    tuning.freeze(model, "vlm", dtype=torch.bfloat16)      the action expert learns
    tuning.lora(model, rank=16, dtype=torch.bfloat16)      both experts learn, by adapters
    train.fit(model, dataset)                              what is not frozen is trained and saved

What is frozen needs no gradient, no moments and no average: 2 bytes a parameter in bf16, in place
of 20. What is trained is float32.
"""

import re

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from minipi0.checkpoint import PALIGEMMA

# beginnings of parameters' names
PARTS = {
    "vision": ("vision.",),
    "vlm": PALIGEMMA,  # the tower included
    "expert": (
        *("experts.action.", "state_proj.", "action_in_proj.", "action_out_proj."),
        *("action_time_mlp_in.", "action_time_mlp_out."),
    ),
}
# every matrix of both experts' layers
ADAPTED = r"experts\.(vlm|action)\.layers\.\d+\.(qkv|attention_out|gate|up|down)"


def freeze(model: nn.Module, *parts: str, dtype: torch.dtype | None = None) -> None:
    """Train `parts` of the model no more, and the rest in float32.

    parts: "vision" (the image tower), "vlm" (all that is PaliGemma's, the tower included) or
        "expert" (the action expert and its five projections).
    dtype: what the frozen weights become; None leaves them as they are.
    Raises ValueError for an unknown part, and where nothing would be left to train.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise ValueError(f"parts to freeze are among {', '.join(PARTS)}, not {parts}")
    beginnings = tuple(start for part in parts for start in PARTS[part])
    named = list(model.named_parameters())
    if not any(p.requires_grad and not name.startswith(beginnings) for name, p in named):
        raise ValueError(f"with {' and '.join(parts)} frozen, nothing is left to train")
    for name, parameter in named:
        if name.startswith(beginnings):
            _freeze(parameter, dtype)
        elif parameter.requires_grad:
            parameter.data = parameter.data.float()


def lora(
    model: nn.Module,
    rank: int = 16,
    scale: float = 1.0,
    targets: str = ADAPTED,
    dtype: torch.dtype | None = None,
) -> None:
    """Freeze the model and put a low-rank adapter beside every matrix of its experts (peft's LoRA).

    A matrix W becomes W + scale * B @ A, with A of `rank` rows: 2 * rank * width numbers to train
    in place of width². B begins at zero, so nothing changes at first. The projections around the
    action expert, 0.1 % of all parameters, are trained whole.

    targets: a regular expression for the names of the layers that get one.
    dtype: of the frozen weights; None leaves them. What is trained is float32.
    Raises ValueError for rank < 1, a model that has adapters, and targets that name nothing.
    `save_pretrained` writes the sum, as any other model.
    """
    if rank < 1:
        raise ValueError(f"an adapter has a rank of at least 1, not {rank}")
    if any(hasattr(module, "lora_A") for module in model.modules()):
        raise ValueError("the model has adapters already")
    if not any(re.fullmatch(targets, name) for name, _ in model.named_modules()):
        raise ValueError(f"no layer is called {targets!r}")
    from peft import LoraConfig, inject_adapter_in_model  # seconds to import, for those who need it

    trained = tuple(start for start in PARTS["expert"] if not start.startswith("experts."))
    for name, parameter in model.named_parameters():
        if not name.startswith(trained):
            _freeze(parameter, dtype)
    inject_adapter_in_model(
        LoraConfig(r=rank, lora_alpha=scale * rank, target_modules=targets), model
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or name.startswith(trained))
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are not frozen, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def fingerprint(model: nn.Module) -> str:
    """A short text that tells frozen weights from others: "" where nothing is frozen.

    The first numbers of every frozen tensor are looked at.
    """
    import hashlib

    digest, count = hashlib.sha256(), 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            first = parameter.detach().flatten()[:64].float().cpu().contiguous()
            digest.update(f"{name} {tuple(parameter.shape)}".encode())
            digest.update(first.numpy().tobytes())
            count += 1
    return digest.hexdigest()[:16] if count else ""


class Average:
    """An exponential moving average of what is trained, and of nothing else.

    parameters: {name: parameter}. ema: how much of the average is kept at each step; at the t-th
    step it is min(ema, (1 + t) / (10 + t)), so that the first weights, which know nothing, are soon
    forgotten.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], ema: float):
        self.parameters, self.ema, self.updates = parameters, ema, 0
        self.values: dict[str, Tensor] = {n: p.detach().clone() for n, p in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step. The average begins with those after the first one."""
        t = self.updates
        kept = min(self.ema, (1 + t) / (10 + t)) if t else 0.0
        averaged = [_mine(value) for value in self.values.values()]
        current = [_mine(parameter.detach()) for parameter in self.parameters.values()]
        torch._foreach_lerp_(averaged, current, 1 - kept)
        self.updates += 1

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights with the average, in place; twice changes nothing."""
        for name, parameter in self.parameters.items():
            here, there = _mine(parameter.detach()), _mine(self.values[name])
            before = here.clone()
            here.copy_(there)
            there.copy_(before)


def _mine(x: Tensor) -> Tensor:
    """Of a tensor that is shared out between processes, this process's rows."""
    return x.to_local() if isinstance(x, DTensor) else x


def _freeze(parameter: nn.Parameter, dtype: torch.dtype | None) -> None:
    parameter.requires_grad_(False)
    if dtype is not None:
        parameter.data = parameter.data.to(dtype)
