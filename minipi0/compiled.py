"""torch.compile with the two settings that speed this model up on a CPU.

They are a cheaper tanh, and weights that are constants.
"""

import functools

import torch
from torch import Tensor, nn


def compiled(function, module: nn.Module, frozen: bool = False, **options):
    """torch.compile(function, **options), where `function` runs `module`.

    frozen: True makes constants of the weights where no gradient is needed, and packs them once in
        the order in which the matrix products read them. They no longer train, and they take their
        memory once more. All that the process compiled before is compiled anew at its next call.
    Returns the compiled function; with frozen=True it raises RuntimeError when it is called after
    the weights have changed. Raises ValueError for frozen=True with a backend or a mode.
    """
    if frozen and options.keys() & {"backend", "mode"}:
        raise ValueError(f"frozen=True is for the default backend and mode, not for {options}")
    if not options.keys() & {"backend", "mode"}:  # torch.compile takes a mode or options, not both
        ours = {
            "cpp.use_decompose_tanh": True,
            "freezing": frozen,
        }  # GELU's tanh by one exponential
        options["options"] = ours | (options.get("options") or {})
    fast = torch.compile(function, **options)
    if not frozen:
        return fast
    torch.compiler.reset()  # or a graph with this module's former weights would be used again
    module.requires_grad_(False)
    # inference tensors count no writes
    weights = [weight for weight in module.parameters() if not weight.is_inference()]
    before = _state(weights)

    @functools.wraps(function)
    @torch._inductor.config.patch("freezing", True)  # tracing reads it here, not in the options
    def checked(*args, **kwargs):
        if _state(weights) != before:
            raise RuntimeError(
                "the weights have changed since compile(frozen=True) made constants of them: "
                "call it again"
            )
        return fast(*args, **kwargs)

    return checked


def _state(weights: list[Tensor]) -> list[tuple[int, int]]:
    """Where each weight lies, and how often it was written to."""
    return [(weight.data_ptr(), weight._version) for weight in weights]
