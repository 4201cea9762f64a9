"""Nine tasks on a table, told apart by words: what Meta-World calls them, what one says, and where the scene is ours.

In a pair (faucet, drawer, window) both tasks start from the same scene, bit for bit: drawer and window stand half-open. Only the
instruction tells what to do. All else is Meta-World's: the things, where they may stand, its scripted experts, what counts as success.
"""

from dataclasses import dataclass

import gymnasium
import numpy as np

from minipi0.robot.simulator import Expert, Robot, make_world

GAIN = 0.5  # of the expert's velocity: it was made to act at 80 Hz, and is held for a tenth of a second here
SPEED = 0.6  # the expert's at most, in units of the action


@dataclass(frozen=True)
class Task:
    """A task. Its Meta-World environment and expert are called as it is: "faucet-open-v3", SawyerFaucetOpenV3Policy.

    prompts: instructions that demonstrators use, the first is the usual one. paraphrase: one that no demonstrator uses.
    low, high: between which corners (metres) the thing may stand, where that is not Meta-World's own choice.
    joint, start: a joint and where it stands at first, for what starts half-open.
    """

    name: str
    prompts: tuple[str, ...]
    paraphrase: str
    low: tuple[float, float, float] | None = None
    high: tuple[float, float, float] | None = None
    joint: str | None = None
    start: float = 0.0


_FAUCET = dict(low=(-0.05, 0.8, 0.0), high=(0.05, 0.85, 0.0))
_DRAWER = dict(joint="goal_slidey", start=-0.12)
_WINDOW = dict(low=(-0.1, 0.75, 0.16), high=(0.1, 0.9, 0.16), joint="window_slide", start=0.1)

TASKS = {
    task.name: task
    for task in (
        Task(
            "faucet-open",
            ("open the faucet", "turn the faucet on", "faucet open"),
            "please open the tap",
            **_FAUCET,
        ),
        Task(
            "faucet-close",
            ("close the faucet", "turn the faucet off", "faucet close"),
            "please close the tap",
            **_FAUCET,
        ),
        Task(
            "drawer-open",
            ("open the drawer", "pull the drawer out", "drawer open"),
            "please open the box",
            **_DRAWER,
        ),
        Task(
            "drawer-close",
            ("close the drawer", "push the drawer in", "drawer close"),
            "please close the box",
            **_DRAWER,
        ),
        Task(
            "window-open",
            ("open the window", "slide the window open", "window open"),
            "please open the pane",
            **_WINDOW,
        ),
        Task(
            "window-close",
            ("close the window", "slide the window shut", "window close"),
            "please close the pane",
            **_WINDOW,
        ),
        Task(
            "button-press-topdown",
            ("press the button", "push the button down", "button press"),
            "please hit the button",
        ),
        Task(
            "handle-press",
            ("press the handle", "push the handle down", "handle press"),
            "please hit the handle",
        ),
        Task(
            "coffee-button",
            ("make coffee", "start the coffee machine", "coffee on"),
            "please brew a coffee",
        ),
    )
}
PAIRS = tuple(
    (f"{thing}-open", f"{thing}-close") for thing in ("faucet", "drawer", "window")
)  # one scene, two instructions


class Tabletop(Robot):
    """The environment of a task.

    task: its name. prompt: what is said, by default the task's usual instruction.
    """

    def __init__(self, task: str, prompt: str | None = None, **options):
        if task not in TASKS:
            raise ValueError(f"unknown task {task!r}; the tasks are {', '.join(TASKS)}")
        self.task = TASKS[task]
        options = dict(max_steps=60) | options
        super().__init__(make_world(f"{task}-v3"), prompt or self.task.prompts[0], **options)

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """As Meta-World does, but in a pair the thing stands where it stands in the other task."""
        space, world = self.world._random_reset_space, self.world
        low = space.low if self.task.low is None else self.task.low
        high = space.high if self.task.high is None else self.task.high
        world._last_rand_vec = rng.uniform(low, high)
        world.reset()
        import mujoco

        if self.task.joint is not None:
            joint = world.data.joint(self.task.joint)
            joint.qpos, joint.qvel = self.task.start, 0
        mujoco.mj_forward(world.model, world.data)  # some tasks do, some lag a step behind
        return world._get_obs()

    def expert(self, rng: np.random.Generator) -> Expert:
        """Meta-World's scripted expert, slowed down; it names the task in one of its instructions (`prompt` is set to it)."""
        from metaworld import policies

        name = "".join(word.capitalize() for word in self.task.name.split("-"))
        policy = getattr(policies, f"Sawyer{name}V3Policy")()
        self.prompt = str(rng.choice(self.task.prompts))

        def act(seen: np.ndarray) -> np.ndarray:
            wanted = np.asarray(policy.get_action(seen), dtype=np.float64)
            move = GAIN * wanted[:3]
            move *= min(1, SPEED / max(np.linalg.norm(move), 1e-9))
            return np.array([*move, 1 if wanted[3] > 0.1 else -1], dtype=np.float32)

        return act


def register() -> None:
    """Make every task known to gymnasium as "minipi0/NAME-v0"."""
    for name in TASKS:
        gymnasium.register(
            f"minipi0/{name}-v0", entry_point="minipi0.robot.tasks:Tabletop", kwargs={"task": name}
        )
