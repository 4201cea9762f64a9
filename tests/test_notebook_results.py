"""The stored results of the notebooks came from the checkpoints that the package carries."""

import json
import shlex
from pathlib import Path

import pytest

from minipi0.checkpoint import open_checkpoint
from minipi0.robot.recipes import CARRIED, RECIPES, digest
from minipi0.robot.trials import Setting, read
from minipi0.robot.wall import EXECUTE

RESULTS = Path(__file__).parents[1] / "notebooks" / "results"


def same_weights(options: dict, checkpoint: str) -> bool:
    """Whether results with these options were made with the carried checkpoint of this name."""
    given = {name: value for name, value in options.items() if name not in ("weights", "seed")}
    now = Setting(str(CARRIED / checkpoint), **given).identity()
    return json.loads(json.dumps(now)) | {"seed": options["seed"]} == options


@pytest.mark.parametrize("path", sorted(RESULTS.glob("00_*.json")), ids=lambda path: path.stem)
def test_notebook_00_tells_of_the_carried_weights(path):
    stored = json.loads(path.read_text())
    name = Path(stored["checkpoint"]).name
    assert name == ("wall_regression" if "regression" in path.stem else "wall")
    assert same_weights(stored["options"], name), (
        f"{path.name} was measured with other weights or options: run minipi0.evaluate again"
    )
    assert stored["options"]["steps"] == (10 if "10_steps" in path.stem else 1)
    assert stored["options"]["execute"] == EXECUTE
    found = read(path)
    assert [trial.seed for trial in found] == list(range(100))
    assert stored["summary"]["Wall"]["successes"] == sum(trial.success for trial in found)


def test_the_nine_tasks_success_is_that_of_the_carried_weights():
    stored = json.loads((RESULTS / "11_tasks.json").read_text())
    assert stored["recipe_sha256"] == digest(RECIPES["tasks"])
    assert open_checkpoint(CARRIED / "tasks").about()["recipe_sha256"] == digest(RECIPES["tasks"])
    for key in [key for key in stored if key.startswith("fresh_scenes")]:
        assert same_weights(stored[key]["options"], "tasks"), key
        words = shlex.split(stored[key]["command"])
        told = dict(zip(words[3::2], words[4::2], strict=True))
        assert int(told["--seed"]) == stored[key]["options"]["seed"]
        assert int(told["--execute"]) == stored[key]["options"]["execute"]
        one = [stored[key]["summary"][task] for task in told["--tasks"].split(",")]
        every = stored[key]["summary"]["all"]
        assert every["successes"] == sum(row["successes"] for row in one)
