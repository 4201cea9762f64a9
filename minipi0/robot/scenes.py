"""Scenes to watch with the checkpoints that the package carries, and three ways to act in them."""

import gymnasium

from minipi0.robot.policy import Policy
from minipi0.robot.recipes import CARRIED
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
    return {"the wall": Scene(make_wall, list(instructions), policies)}
