"""Checks of notebook 13's exercises: delays, an adapter, bug hunts on a robot that acts."""

import numpy as np

from minipi0.exercises import exercise
from minipi0.exercises.answers import numbers
from minipi0.robot.policy import Policy

FAULTS = {
    "statistics": "the policy still has the statistics of the model that it was fine-tuned from",
    "colours": "the robot's camera driver gives BGR, and the model was trained on RGB",
    "mirror": "the front camera's picture is mirrored",
    "sign": "the robot takes the first command, the hand's velocity to the right, as to the left",
    "rate": "the control loop runs at half the rate of the data: each action lasts twice as long",
    "stale": "each chunk answers the picture before the last one",
}
SUSPECTS = {"A": "statistics", "B": "sign"}


class Suspect:
    """A policy with one planted fault; `rollout` takes it as any other.

    policy: a healthy Policy. name: of SUSPECTS, or a fault. old: the statistics before the
        fine-tuning.
    """

    def __init__(self, policy: Policy, name: str, old: dict):
        self.fault = SUSPECTS.get(name, name)
        changed = {"stats": old} if self.fault == "statistics" else {}
        self.policy = Policy(policy.model, **changed, execute=policy.execute, about=policy.about)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        self.policy.reset(seed)
        self._held, self._before = None, None

    @property
    def needs_observation(self) -> bool:
        return self._held is None and self.policy.needs_observation

    def act(self, observation: dict) -> np.ndarray:
        if self._held is not None:
            action, self._held = self._held, None
            return action
        if self.policy.needs_observation:
            observation, now = self._seen(observation), observation
            self._before = now
        action = self.policy.act(observation)
        if self.fault == "sign":
            action = np.concatenate([-action[:1], action[1:]])
        self._held = action if self.fault == "rate" else None
        return action

    def _seen(self, observation: dict) -> dict:
        front, hand = observation["front"], observation["hand"]
        if self.fault == "colours":
            return observation | {"front": front[..., ::-1], "hand": hand[..., ::-1]}
        if self.fault == "mirror":
            return observation | {"front": front[:, ::-1]}
        if self.fault == "stale" and self._before is not None:
            return self._before
        return observation


@exercise("13.1")
def delay_and_execute(answer):
    """30 Hz, 0.25 s a chunk, 50 actions in it: a delay of 8, and at most 42 executed."""
    delay, execute = numbers(answer, "the delay, the executed actions", whole=True)
    if delay == 7:
        return "0.25 s are 7.5 control steps: after 7 of them the chunk is not there yet."
    if delay == 9:
        return "0.25 s are 7.5 control steps: it is there one step earlier."
    if delay in (2, 3):
        return "0.25 s at 10 Hz would be 2.5 control steps. This robot acts 30 times a second."
    if delay != 8:
        return f"in {delay} control steps at 30 Hz pass {delay / 30:.2f} s. A chunk takes 0.25 s."
    if execute == 50:
        return (
            "while the next chunk is computed, the robot executes the last actions of this one: "
            "it is asked for 8 steps before, and its own first 8 come too late."
        )
    if execute == 34:
        return "you took the delay off twice: only the new chunk's first 8 actions are lost."
    if execute == 41:
        return "one more: actions 8 to 49 are executed."
    if execute != 42:
        return f"a chunk has 50 actions, of which the first 8 come too late. You execute {execute}."


NAMES = ["pan.pos", "lift.pos", "elbow.pos", "gripper.pos"]


@exercise("13.2")
def adapter(answer):
    """to_observation(robot, names, prompt) -> what Policy takes; the camera gives BGR."""
    rng = np.random.default_rng(0)
    joints = dict(zip(NAMES, [3.0, -20.0, 55.0, 0.5], strict=True))
    camera = rng.integers(0, 256, (4, 6, 3), np.uint8)
    robot = {"gripper.pos": joints["gripper.pos"], "front": camera.copy(), "temperature": 41.0}
    robot |= {name: joints[name] for name in ("elbow.pos", "pan.pos", "lift.pos")}
    before = camera.copy()
    got = answer(robot, list(NAMES), "wave")
    if not isinstance(got, dict):
        return f"return a dict, not a {type(got).__name__}."
    missing = {"front", "state", "prompt"} - set(got)
    if missing:
        return f"the observation has no {sorted(missing)}."
    if got["prompt"] != "wave":
        return "the prompt is the instruction that was given, as it is."
    state = np.asarray(got["state"], dtype=float)
    right = np.array([joints[name] for name in NAMES])
    if state.shape != (4,):
        return f"the state has shape {state.shape}, expected (4,): the numbers named in `names`."
    if not np.allclose(state, right):
        if np.allclose(np.sort(state), np.sort(right)):
            return (
                "the right numbers in another order. The model knows them by their place: take "
                "them in the order of `names`, not in that of the robot's dict or the alphabet."
            )
        return "the state holds other numbers than those of `names`."
    picture = np.asarray(got["front"])
    if picture.shape != camera.shape:
        return f"the picture has shape {picture.shape}, the camera's has {camera.shape}."
    if np.array_equal(picture, before):
        return "the picture is still BGR: red and blue are exchanged. No error will tell you."
    if picture.dtype != np.uint8:
        return f"the picture is {picture.dtype}; keep uint8."
    if not np.array_equal(picture, before[..., ::-1]):
        return "only the last axis is to be turned round: colours, not rows or columns."
    if not np.array_equal(robot["front"], before):
        return (
            "the robot's own picture was changed: whoever shows or records it gets the wrong one."
        )


def _fault(answer, name: str, hints: dict) -> str | None:
    if answer not in FAULTS:
        return f"name one of {list(FAULTS)}."
    if answer != SUSPECTS[name]:
        return hints[answer]


@exercise("13.3")
def suspect_a(answer):
    """It does not go down to the button: the statistics of the nine tasks."""
    hints = {
        "colours": "then the hand would still move as it was taught. Look at its height.",
        "mirror": "then right and left would be wrong, and the height would be right.",
        "sign": "then right and left would be wrong, and the height would be right.",
        "rate": "then the hand would take the right path, and overshoot. Look at the height.",
        "stale": "then the first chunk would be a healthy one. Look where the hand sets out to.",
    }
    return _fault(answer, "A", hints)


@exercise("13.4")
def suspect_b(answer):
    """Height and way ahead are right; to the side it runs away."""
    hints = {
        "statistics": "then nothing would be right: suspect A was that. Look at the height here.",
        "colours": "the commands are well made for what the robot sees. What becomes of them?",
        "mirror": (
            "a good guess. But a mirrored picture errs once, by the place of the box, and here the "
            "hand runs away further with every chunk. The state tells it where it is, and it still "
            "does not come back."
        ),
        "rate": "then all directions would overshoot alike. Here one of them is special.",
        "stale": "then it would act late, in all directions alike. Here one of them is special.",
    }
    return _fault(answer, "B", hints)
