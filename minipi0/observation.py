"""What a robot sees, reads and feels, as the tensors that a model takes. Knows no model and no data set."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class Observation:
    """What the robot sees, reads and feels. In a batch:

    images (B, C, 3, H, W) in [-1, 1], image_mask (B, C), tokens (B, L), token_mask (B, L), state (B, S), masks True where real.
    """

    images: Tensor
    image_mask: Tensor
    tokens: Tensor
    token_mask: Tensor
    state: Tensor

    def to(self, *args, **kwargs) -> "Observation":
        """Every tensor moved as by Tensor.to (give a device; a dtype would also hit the integer tokens)."""
        return Observation(
            *(getattr(self, field.name).to(*args, **kwargs) for field in fields(self))
        )

    def __getitem__(self, index) -> "Observation":
        """The same items of every tensor's first axis."""
        return Observation(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def stack(items: list["Observation"]) -> "Observation":
        """A batch from unbatched observations."""
        return Observation(
            *(
                torch.stack([getattr(item, field.name) for item in items])
                for field in fields(Observation)
            )
        )
