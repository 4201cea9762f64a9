"""Checks of notebook 00's exercises: how often a policy thinks, where a chunk leads, bug hunts."""

import numpy as np
import torch

from minipi0.exercises import exercise
from minipi0.exercises.answers import numbers
from minipi0.robot.watch import hand_path

FAULTS = {
    "statistics": "the model's numbers go to the robot as they are, not in the robot's units",
    "gripper": "the gripper command has the wrong sign",
    "order": "the actions of a chunk are executed last first",
    "stale": "the robot executes the chunk before the last one",
    "words": "the policy is told another instruction",
}
SUSPECTS = {"A": "gripper", "B": "words"}


class Suspect:
    """A policy with one planted fault.

    For `watch` and RobotPlayer it is a policy like any other.
    """

    def __init__(self, policy, name: str):
        self.__dict__.update(policy=policy.another(), name=name)

    def __getattr__(self, name):
        return getattr(self.policy, name)

    def __setattr__(self, name, value):
        setattr(self.policy, name, value)

    def another(self) -> "Suspect":
        return Suspect(self.policy, self.name)

    def chunk(self, observation: dict, samples: int = 1) -> np.ndarray:
        """float32[n, H, D]"""
        fault = SUSPECTS.get(self.name, self.name)
        if fault == "words":
            observation = observation | {"prompt": "carry the puck past the right of the wall"}
        chunks = self.policy.chunk(observation, samples)
        if fault == "gripper":
            chunks = chunks * np.float32([1, 1, 1, -1])
        if fault == "order":
            chunks = chunks[:, ::-1]
        if fault == "statistics":
            chunks = self.policy.normaliser["action"].to_model(torch.as_tensor(chunks)).numpy()
        return chunks


@exercise("00.1")
def thinking(answer):
    """23 actions, 8 of a chunk executed, ten Euler steps: 3 prefixes, 30 passes of the expert."""
    prefixes, passes = numbers(answer, "prefixes, passes of the action expert", whole=True)
    if prefixes == 23:
        return "the model is asked when the executed actions run out, not before every action."
    if prefixes == 2:
        return "two chunks last for 16 actions; 7 are still to be done."
    if prefixes != 3:
        return f"{prefixes} chunks of 8 executed actions last for {8 * prefixes} actions."
    if passes == 3:
        return (
            "the prefix is computed once a chunk, but the action expert once in every Euler step."
        )
    if passes == 230:
        return "ten Euler steps make a whole chunk, not one action."
    if passes != 30:
        return f"3 chunks with ten Euler steps each are not {passes} passes."


@exercise("00.2")
def where_a_chunk_leads(answer):
    """hand_path(hand, velocities) -> (H + 1, 3)"""
    rng = np.random.default_rng(0)
    hand, velocities = rng.normal(size=3), rng.uniform(-1, 1, size=(16, 3))
    right = hand_path(hand, velocities)
    got = np.asarray(answer(hand.copy(), velocities.copy()), dtype=float)
    if got.shape == (16, 3):
        return "the path begins where the hand is now: 17 places for 16 actions."
    if got.shape != (17, 3):
        return f"the path has shape {got.shape}, expected (17, 3)."
    moved, wanted = got - hand, right - hand
    if np.allclose(moved, 10 * wanted, atol=1e-6):
        return "0.8 m/s for a tenth of a second: the hand moves 0.08 m in one action, not 0.8."
    if np.allclose(moved, wanted / 0.8, atol=1e-6):
        return "an action of 1 is 0.8 m/s, not 1 m/s."
    if np.allclose(moved[1:], 0.08 * velocities, atol=1e-6):
        return "the moves add up: the second begins where the first one ended."
    if np.allclose(got, wanted, atol=1e-6):
        return "the path begins at the hand's place, not at 0."
    if not np.allclose(got, right, atol=1e-6):
        return "it differs from hand + 0.08 × the sum of all velocities so far."


def _fault(answer, name: str, hints: dict) -> str | None:
    if answer not in FAULTS:
        return f"name one of {list(FAULTS)}."
    if answer != SUSPECTS[name]:
        return hints[answer]


@exercise("00.3")
def suspect_a(answer):
    """The puck falls at once: the gripper's sign."""
    hints = {
        "statistics": (
            "then the speed would be wrong too. Compare the path of the hand with a healthy one."
        ),
        "order": "then the hand would set out with the end of the chunk. Where does it go first?",
        "stale": (
            "then the path would change only after a delay. The fault shows in the first picture."
        ),
        "words": "the hand goes around the wall as it should. What becomes of the puck?",
    }
    return _fault(answer, "A", hints)


@exercise("00.4")
def suspect_b(answer):
    """Always past the right."""
    hints = {
        "statistics": "the hand moves as fast as a healthy one, and the puck arrives.",
        "gripper": "the puck arrives: the gripper does what it should.",
        "order": "each episode is a success; a chunk backwards would lead nowhere.",
        "stale": "each episode is a success. What is the same in all of them that should differ?",
    }
    return _fault(answer, "B", hints)
