"""Knowledge insulation (arXiv 2505.23705): the expert reads the VLM, and does not change it.

The action expert attends to the prefix's keys and values as in pi0, but no gradient goes back
through them. What the VLM learns, it learns from a task of its own, see `CoTrained`. In the paper
that task also has the actions as discrete tokens; here it is the questions it was pre-trained on.
"""

import torch
from torch import Tensor, nn

from minipi0 import vlm
from minipi0.observation import Observation
from minipi0.pi0 import Encoded, Pi0


class Insulated(Pi0):
    """A pi0 whose action loss stops at the VLM's keys and values."""

    def encode(self, observation: Observation) -> Encoded:
        """As pi0's, without a gradient."""
        with torch.no_grad():
            return super().encode(observation)


class CoTrained(nn.Module):
    """A pi0, or a baseline, with two losses: the actions, and the VLM's own questions.

    model: trained in place. questions: has `batch(indices)` and a length, as `robot.questions` has.
    weight: of the questions' loss. batch_size: questions a step.
    """

    def __init__(self, model: Pi0, questions, weight: float = 1.0, batch_size: int = 32):
        super().__init__()
        self.model, self.questions = model, questions
        self.weight, self.batch_size = weight, batch_size

    def loss(self, observation, actions, action_mask=None, generator=None) -> Tensor:
        """Both losses, as one number. generator: draws noise, tau, and which questions."""
        acted = self.model.loss(observation, actions, action_mask=action_mask, generator=generator)
        indices = torch.randint(len(self.questions), (self.batch_size,), generator=generator)
        return acted + self.weight * vlm.loss(self.model, *self.questions.batch(indices))
