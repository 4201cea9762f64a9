"""torch.compile with the two settings that matter to this model on a CPU: a cheaper tanh, and weights that are constants."""

import functools

import torch
from torch import Tensor, nn


def compiled(function, module: nn.Module, frozen: bool = False, **options):
    """torch.compile(function, **options), where `function` runs `module`.

    frozen=True makes constants of the weights where no gradient is asked for, and packs them once as the matrix products read them. They
    no longer train, and they take their memory once more. All that the process compiled before is compiled anew when it is next called.
    Raises RuntimeError when called after the weights have changed. ValueError for frozen=True with a backend or a mode.
    """
    if frozen and options.keys() & {"backend", "mode"}:
        raise ValueError(f"frozen=True is for the default backend and mode, not for {options}")
    if not options.keys() & {
        "backend",
        "mode",
    }:  # GELU's tanh by one exponential; torch.compile takes a mode or options, not both
        options["options"] = {"cpp.use_decompose_tanh": True, "freezing": frozen} | (
            options.get("options") or {}
        )
    fast = torch.compile(function, **options)
    if not frozen:
        return fast
    torch.compiler.reset()  # or a graph that holds this module's former weights, or none, would be used again
    module.requires_grad_(False)
    weights = [
        p for p in module.parameters() if not p.is_inference()
    ]  # inference tensors count no writes
    before = _state(weights)

    @functools.wraps(function)
    @torch._inductor.config.patch(
        "freezing", True
    )  # what traces the function asks here, not in the options
    def checked(*args, **kwargs):
        if _state(weights) != before:
            raise RuntimeError(
                "the weights have changed since compile(frozen=True) made constants of them: call it again"
            )
        return fast(*args, **kwargs)

    return checked


def _state(weights: list[Tensor]) -> list[tuple[int, int]]:
    """Where each lies, and how often it was written to."""
    return [(weight.data_ptr(), weight._version) for weight in weights]
