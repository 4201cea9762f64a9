"""One giant decoder: state and actions are more tokens of the VLM, through its own weights.

What pi0 did not do. Mask, positions, projections and loss are pi0's; what differs is one line: the
action expert IS the VLM. So there are fewer weights, each action token costs as much as a word, and
every gradient of the actions changes the VLM.
"""

from dataclasses import replace

from minipi0.config import Pi0Config
from minipi0.pi0 import Pi0


class GiantDecoder(Pi0):
    """A pi0 whose action tokens go through the VLM.

    config: the sizes; those of its action expert are not used, the VLM's are.
    """

    def __init__(self, config: Pi0Config):
        super().__init__(replace(config, action_expert=config.vlm))
        self.experts.action = self.experts.vlm
