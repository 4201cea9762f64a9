"""How far the number formats agree: one trained model, the same observations, noise and tau.

    python tests/numerics.py        prints the table

Compared with float64, for the policy of the wall scene that the package carries (its weights are
stored in bf16, so every format but fp16 can hold them exactly): the loss, one velocity, and the
chunk after ten Euler steps. Errors are root mean squares over all entries; actions are normalised,
so 1 is the standard deviation of the data.
"""

from pathlib import Path

import torch
from torch import Tensor

from minipi0 import Observation, Pi0

WALL = Path(__file__).parents[1] / "minipi0" / "checkpoints" / "wall"
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@torch.no_grad()
def outputs(dtype: torch.dtype, items: int = 4) -> dict[str, Tensor]:
    """The model's loss, velocity and chunk in a format, as float64."""
    model = Pi0.from_pretrained(WALL, dtype=dtype)
    c, generator = model.config, torch.Generator().manual_seed(0)
    size = c.vision.image_size
    # random pictures, of which every format holds the same numbers
    images = torch.randint(0, 2, (items, 1, 3, size, size), generator=generator) * 2.0 - 1
    words = torch.randint(4, 200, (items, 24), generator=generator)
    state, actions, noise = (
        torch.randn(items, *shape, generator=generator).bfloat16()
        for shape in ((c.state_dim,), (c.horizon, c.action_dim), (c.horizon, c.action_dim))
    )
    tau = torch.arange(items, dtype=torch.float64) / items
    seen = torch.ones(items, 1, dtype=torch.bool)
    observation = Observation(
        images.to(dtype), seen, words, torch.ones_like(words, dtype=torch.bool), state.to(dtype)
    )
    actions, noise = actions.to(dtype), noise.to(dtype)
    found = {
        "loss": model.loss(observation, actions, noise=noise, tau=tau),
        "velocity": model.velocity(observation, noise, tau),
        "chunk": model.sample_actions(observation, noise=noise),
    }
    return {name: value.double() for name, value in found.items()}


def errors() -> dict[torch.dtype, dict[str, float]]:
    """Per format and output: the root mean square of the difference to float64's."""
    right = outputs(torch.float64)
    found = {dtype: outputs(dtype) for dtype in DTYPES[1:]}
    return {
        dtype: {name: (its[name] - right[name]).square().mean().sqrt().item() for name in right}
        for dtype, its in found.items()
    }


if __name__ == "__main__":
    print("| format | loss | velocity | chunk of ten steps |\n|---|---|---|---|")
    for dtype, its in errors().items():
        print(
            f"| {str(dtype).removeprefix('torch.')} | "
            + " | ".join(f"{e:.1e}" for e in its.values())
            + " |"
        )
