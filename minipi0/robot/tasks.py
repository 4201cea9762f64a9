"""Nine tasks on a table, told apart by words, and a tenth that no carried policy was shown.

In a pair (faucet, drawer, window) both tasks start from the same scene, bit for bit: drawer and
window stand half-open. Only the instruction tells what to do. All else is Meta-World's: the things,
where they may stand, the scripted experts, what counts as success.
"""

import warnings
from dataclasses import dataclass

import gymnasium
import numpy as np

from minipi0.robot.simulator import Expert, Robot, make_world

# Of the expert's velocity: it was made to act at 80 Hz, and is held for a tenth of a second here.
GAIN = 0.5
SPEED = 0.6  # the expert's at most, in units of the action


@dataclass(frozen=True)
class Task:
    """A task, named as in Meta-World: "faucet-open" is its faucet-open-v3 and that one's expert.

    prompts: how demonstrators say it; the first is the usual instruction.
    paraphrases: what no demonstrator says: one with their words, one with a new word.
    low, high: between which corners (m) the thing stands, where Meta-World does not choose.
    joint, start: a joint (m), and where it stands at first, for what starts half-open.
    """

    name: str
    prompts: tuple[str, ...]
    paraphrases: tuple[str, str]
    low: tuple[float, float, float] | None = None
    high: tuple[float, float, float] | None = None
    joint: str | None = None
    start: float = 0.0


_FAUCET = dict(low=(-0.05, 0.8, 0.0), high=(0.05, 0.85, 0.0))
_DRAWER = dict(joint="goal_slidey", start=-0.12)
_WINDOW = dict(low=(-0.1, 0.75, 0.16), high=(0.1, 0.9, 0.16), joint="window_slide", start=0.1)

_ALL = (
    Task(
        "faucet-open",
        ("open the faucet", "turn the faucet on", "faucet open"),
        ("please open the faucet", "open the tap"),
        **_FAUCET,
    ),
    Task(
        "faucet-close",
        ("close the faucet", "turn the faucet off", "faucet close"),
        ("please close the faucet", "close the tap"),
        **_FAUCET,
    ),
    Task(
        "drawer-open",
        ("open the drawer", "pull the drawer out", "drawer open"),
        ("please open the drawer", "open the box"),
        **_DRAWER,
    ),
    Task(
        "drawer-close",
        ("close the drawer", "push the drawer in", "drawer close"),
        ("please close the drawer", "close the box"),
        **_DRAWER,
    ),
    Task(
        "window-open",
        ("open the window", "slide the window open", "window open"),
        ("please open the window", "open the pane"),
        **_WINDOW,
    ),
    Task(
        "window-close",
        ("close the window", "slide the window shut", "window close"),
        ("please close the window", "close the pane"),
        **_WINDOW,
    ),
    Task(
        "button-press-topdown",
        ("press the button", "push the button down", "button press"),
        ("please press the button", "hit the button"),
    ),
    Task(
        "handle-press",
        ("press the handle", "push the handle down", "handle press"),
        ("please press the handle", "hit the handle"),
    ),
    Task(
        "coffee-button",
        ("make coffee", "start the coffee machine", "coffee on"),
        ("please make coffee", "brew a coffee"),
    ),
)
TASKS = {task.name: task for task in _ALL}
# Notebook 13's: the button is in the box's front, not on its top. A policy for it is made there.
YOURS = Task(
    "button-press",
    ("push the red button in", "press the button in front", "button in"),
    ("please push the red button in", "poke the button"),
)
# One scene, two instructions.
PAIRS = tuple((f"{thing}-open", f"{thing}-close") for thing in ("faucet", "drawer", "window"))


class Tabletop(Robot):
    """The environment of a task.

    task: its name. prompt: what is said, by default the task's usual instruction.
    options: of `Robot`.
    Raises ValueError for an unknown task.
    """

    def __init__(self, task: str, prompt: str | None = None, **options):
        known = TASKS | {YOURS.name: YOURS}
        if task not in known:
            raise ValueError(f"unknown task {task!r}; the tasks are {', '.join(known)}")
        self.task = known[task]
        options = dict(max_steps=60) | options
        super().__init__(make_world(f"{task}-v3"), prompt or self.task.prompts[0], **options)

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """As Meta-World does, but in a pair the thing stands where it stands in the other task."""
        import mujoco

        space, world = self.world._random_reset_space, self.world
        low = space.low if self.task.low is None else self.task.low
        high = space.high if self.task.high is None else self.task.high
        world._last_rand_vec = rng.uniform(low, high)
        world.reset()
        if self.task.joint is not None:
            joint = world.data.joint(self.task.joint)
            joint.qpos, joint.qvel = self.task.start, 0
        mujoco.mj_forward(world.model, world.data)  # some tasks do, some lag a step behind
        return world._get_obs()

    def expert(self, rng: np.random.Generator) -> Expert:
        """Meta-World's scripted expert, slowed down.

        It says the instruction in one of its wordings: `prompt` is set to that.
        """
        from metaworld import policies

        name = "".join(word.capitalize() for word in self.task.name.split("-"))
        policy = getattr(policies, f"Sawyer{name}V3Policy")()
        self.prompt = str(rng.choice(self.task.prompts))

        def act(seen: np.ndarray) -> np.ndarray:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it asks for more than 1: slowed down below
                wanted = np.asarray(policy.get_action(seen), dtype=np.float64)
            move = GAIN * wanted[:3]
            move *= min(1, SPEED / max(np.linalg.norm(move), 1e-9))
            return np.array([*move, 1 if wanted[3] > 0.1 else -1], dtype=np.float32)

        return act


def register() -> None:
    """Make every task known to gymnasium as "minipi0/NAME-v0"."""
    for name in (*TASKS, YOURS.name):
        gymnasium.register(
            f"minipi0/{name}-v0", entry_point="minipi0.robot.tasks:Tabletop", kwargs={"task": name}
        )
