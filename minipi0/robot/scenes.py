"""Scenes to watch with the checkpoints that the package carries; three ways to act at the wall."""

from functools import partial

import gymnasium

from minipi0.robot.policy import Policy
from minipi0.robot.recipes import CARRIED
from minipi0.robot.tasks import PAIRS, TASKS
from minipi0.robot.wall import EXECUTE, PROMPTS
from minipi0.robot.watch import Scene

WORDS = [said[0] for said in PROMPTS.values()]  # no word about the side; left; right
TEN_STEPS = dict(instruction=WORDS[0], policy="flow matching", steps=10, execute=EXECUTE)
ONE_STEP = TEN_STEPS | {"steps": 1}
REGRESSION = TEN_STEPS | {"policy": "regression"}


def make_wall() -> gymnasium.Env:
    """The wall with its short runway; rendered only when somebody looks."""
    options = dict(pictures=False, cameras=("front",), disable_env_checker=True)
    return gymnasium.make("minipi0/Wall-v0", **options)


def wall(policies: dict | None = None, instructions: list[str] = WORDS) -> dict[str, Scene]:
    """{"the wall": Scene} with the carried policies, or with others: {name: policy}."""
    names = {"flow matching": "wall", "regression": "wall_regression"}
    if policies is None:
        policies = {
            n: Policy.from_pretrained(CARRIED / f, execute=EXECUTE) for n, f in names.items()
        }
    return {"the wall": Scene(make_wall, list(instructions), policies, EXECUTE)}


def table() -> dict[str, Scene]:
    """{"faucet-open": Scene, …}: the nine tasks, with the two carried policies for all of them.

    In a pair both instructions can be chosen. A success is the scene's own task, whatever is said.
    """
    names = {"flow matching": "tasks", "regression": "tasks_regression"}
    policies = {n: Policy.from_pretrained(CARRIED / f) for n, f in names.items()}
    make = partial(gymnasium.make, pictures=False, disable_env_checker=True)
    partner = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
    found = {}
    for name, task in TASKS.items():
        said = [task.prompts[0], *(TASKS[partner[name]].prompts[:1] if name in partner else [])]
        found[name] = Scene(partial(make, f"minipi0/{name}-v0"), said, policies, execute=2)
    return found
