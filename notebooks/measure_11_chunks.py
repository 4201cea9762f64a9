"""The wall policy of notebook 11, trained with other chunk lengths.

    python notebooks/measure_11_chunks.py

Every policy has the carried policy's recipe but for its horizon and its training's seed. Each meets
the scenes of notebook 11. RESULTS grows by a line at a time: run again, the command goes on where
it stopped. About 15 minutes of one core for a training, three for 100 trials.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from measure_11 import RUNWAY, SEED

from minipi0.checkpoint import write_atomically
from minipi0.data.sources import cache_folder
from minipi0.robot import recipes, trials
from minipi0.robot.rollout import Trial

RESULTS = Path(__file__).parent / "results" / "11_chunks.json"
WALL, TRIALS = recipes.RECIPES["wall"], 100
CARRIED = WALL.config.horizon  # with training seed 0
EXECUTED = {1: (1,), 4: (1, 4), 16: (4, 8, 16), 32: (4, 8, 16, 32)}  # by chunk length
ORDER = [(1, 0), (4, 0), (32, 0), (16, 0), (16, 1), (1, 1), (4, 1), (32, 1)]


def policy(horizon: int, seed: int) -> Path:
    """The checkpoint's folder; a policy that there is not is trained."""
    if (horizon, seed) == (CARRIED, 0):
        return recipes.CARRIED / "wall"
    folder = cache_folder() / "study" / f"wall-chunk-{horizon}-seed-{seed}"
    if not folder.exists():
        config = replace(WALL.config, horizon=horizon)
        recipe = replace(WALL, config=config, training=replace(WALL.training, seed=seed))
        recipes.make("wall", folder, recipe)
    return folder


def measure(horizon: int, seed: int, execute: int) -> dict:
    """A line of RESULTS. outcomes: of every trial, [success, touched the wall]."""
    setting = trials.Setting(
        str(policy(horizon, seed)), execute=execute, environment={"runway": RUNWAY}
    )
    found: list[Trial] = trials.run(setting, ["Wall"], TRIALS, SEED)
    return {
        "horizon": horizon,
        "training_seed": seed,
        "execute": execute,
        "weights": setting.identity()["weights"],
        "outcomes": [[int(trial.success), int(trial.touched)] for trial in found],
    }


def load() -> list[dict]:
    """Every line that is measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    for horizon, seed in ORDER:
        for execute in EXECUTED[horizon]:
            lines = load()
            if (horizon, seed, execute) in [
                (row["horizon"], row["training_seed"], row["execute"]) for row in lines
            ]:
                continue
            lines.append(row := measure(horizon, seed, execute))
            successes, touched = map(sum, zip(*row["outcomes"], strict=True))
            print(
                f"{horizon=} {seed=} {execute=}: {successes} of {TRIALS}, {touched} touched",
                flush=True,
            )
            text = "[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n"
            write_atomically(RESULTS, lambda path, text=text: path.write_text(text))


if __name__ == "__main__":
    main()
