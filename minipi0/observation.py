"""What a robot sees, reads and feels, as the tensors that a model takes.

Axes: B batch, C cameras, H and W pixels, L tokens, S state dims.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class Observation:
    """What the robot sees, reads and feels. All fields have the batch as their first axis.

    images: float[B, C, 3, H, W], in [-1, 1], black being -1.
    image_mask: bool[B, C], False where there is no camera.
    tokens: int[B, L]; token_mask: bool[B, L], False for padding.
    state: float[B, S], normalised.
    """

    images: Tensor
    image_mask: Tensor
    tokens: Tensor
    token_mask: Tensor
    state: Tensor

    def to(self, *args, **kwargs) -> "Observation":
        """Every tensor moved as by Tensor.to. Give a device; a dtype would hit the tokens too."""
        return self._each(lambda x: x.to(*args, **kwargs))

    def __getitem__(self, index) -> "Observation":
        """The same items of every tensor's first axis."""
        return self._each(lambda x: x[index])

    @staticmethod
    def stack(items: list["Observation"]) -> "Observation":
        """A batch from unbatched observations."""
        names = [field.name for field in fields(Observation)]
        return Observation(*(torch.stack([getattr(o, name) for o in items]) for name in names))

    def _each(self, change) -> "Observation":
        return Observation(*(change(getattr(self, field.name)) for field in fields(self)))
