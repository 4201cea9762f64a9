"""The trials behind notebook 11: one command measures what is missing.

    python notebooks/measure_11.py [WORD …] [--trials N] [--workers 1]

A condition is a checkpoint and one way to use it. Every condition meets the same scenes, so any two
can be compared in pairs. What is finished lies in the cache, trial by trial, and goes on after an
interruption; RESULTS holds every trial that the notebook reads. With words, only conditions whose
name holds one of them are measured. New weights begin anew: a trial belongs to its weights.
"""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from minipi0 import data
from minipi0.baselines import GaussianRegression, Regression, residuals
from minipi0.checkpoint import without_checksums, write_atomically
from minipi0.data.sources import cache_folder
from minipi0.evaluate import spread
from minipi0.pi0 import Pi0
from minipi0.robot import recipes, trials
from minipi0.robot.policy import Policy
from minipi0.robot.rollout import Trial, rollout
from minipi0.robot.tasks import TASKS
from minipi0.robot.wall import LONG, PARAPHRASES, PROMPTS

SIDES = {"left": "WallLeft", "right": "WallRight"}  # what is asked for: the task
RESULTS = Path(__file__).parent / "results" / "11_trials.json"
RUNWAY = 0.12  # metres before the wall where the hand starts
SEED = 11  # of the scenes: 1,100,000 … 1,100,099, which no demonstration has
COLUMNS = ("seed", "success", "touched", "side", "frames")


@dataclass(frozen=True)
class Condition:
    """A carried checkpoint and one way to use it.

    checkpoint: its folder's name. options: of `trials.Setting`. count: of trials of each task.
    gaussian: add noise of its residuals' covariance to a regression.
    mean_of: execute the mean of so many sampled chunks.
    paths: of how many trials the hand's path is kept.
    """

    checkpoint: str
    options: dict
    tasks: tuple[str, ...] = ("Wall",)
    count: int = 100
    gaussian: bool = False
    mean_of: int = 1
    paths: int = 0

    @property
    def folder(self) -> Path:
        return recipes.CARRIED / self.checkpoint

    def setting(self) -> trials.Setting:
        if self.gaussian:
            return trials.Setting(str(with_noise(self.folder)), **self.options)
        if self.mean_of > 1:
            return MeanSetting(str(self.folder), **self.options, mean_of=self.mean_of)
        return trials.Setting(str(self.folder), **self.options)

    def weights(self) -> str:
        """sha256 of the weights' file, without its checksums."""
        file = self.folder / "model.safetensors"
        return hashlib.sha256(without_checksums(file)).hexdigest()


@dataclass(frozen=True)
class MeanSetting(trials.Setting):
    """A flow whose samples are averaged."""

    mean_of: int = 16

    def policy(self) -> Policy:
        model = MeanChunk(Pi0.from_pretrained(self.checkpoint), self.mean_of)
        return Policy(model, steps=self.steps, execute=self.execute)


class MeanChunk(torch.nn.Module):
    """A model whose chunk is the mean of n chunks of another one, sampled for one observation."""

    def __init__(self, model: Pi0, n: int):
        super().__init__()
        self.model, self.n = model, n
        self.config, self.stats, self.about = model.config, model.stats, model.about

    def sample_actions(self, observation, noise: torch.Tensor, steps: int) -> torch.Tensor:
        """The mean chunk, [1, H, D]. noise: [1, H, D], that of the first; it fixes the others'."""
        source = hashlib.sha256(noise.numpy().tobytes()).digest()[:8]
        generator = torch.Generator().manual_seed(int.from_bytes(source) >> 1)
        others = torch.randn(self.n - 1, *noise.shape[1:], generator=generator)
        seen = observation[torch.zeros(self.n, dtype=torch.long)]
        chunks = self.model.sample_actions(seen, noise=torch.cat([noise, others]), steps=steps)
        return chunks.mean(0, keepdim=True)


def conditions() -> dict[str, Condition]:
    """Every condition by its name, the most wanted first."""
    one, every = {"steps": 1}, {"execute": 1}
    ensemble = every | {"ensemble": 0.01}
    return {
        "flow, 10 steps": _wall({"steps": 10}, paths=20),
        "flow, 1 step": _wall(one, paths=20),
        "regression": _wall(one, "wall_regression", paths=20),
        "regression + noise": _wall(one, "wall_regression", gaussian=True, paths=20),
        **{f"flow, {n} steps": _wall({"steps": n}) for n in (2, 5, 20)},
        "ensemble": _wall(ensemble, paths=20),
        "mean of 16 chunks": _wall({"steps": 10}, mean_of=16, paths=20),
        **{f"execute {k}": _wall({"execute": k}) for k in (1, 4, 16)},
        **{f"delay {d}": _wall({"delay": d}) for d in (4, 8)},
        **{f"delay {d}, real-time": _wall({"delay": d, "real_time": True}) for d in (4, 8, 0)},
        "long runway": _wall({"steps": 10}, runway=LONG, paths=20),
        "long runway, 1 step": _wall(one, runway=LONG, paths=20),
        "long runway, regression": _wall(one, "wall_regression", runway=LONG, paths=20),
        **{f"told {side}": _wall({}, tasks=(task,)) for side, task in SIDES.items()},
        **{
            f"{side} scene, told {other}": _wall({"prompt": PROMPTS[other][0]}, tasks=(task,))
            for (side, task), other in zip(SIDES.items(), reversed(SIDES), strict=True)
        },
        **{
            f"told {words!r}": _wall({"prompt": words}, tasks=(task,))
            for side, task in SIDES.items()
            for words in PARAPHRASES[side]
        },
        "short runway": _wall({}, runway=0.08, paths=20),
        "short runway, execute 1": _wall(every, runway=0.08, paths=20),
        "short runway, ensemble": _wall(ensemble, runway=0.08, paths=20),
        **{
            f"tasks, {n} step{'s' if n > 1 else ''}": Condition(
                "tasks", {"steps": n, "execute": 3}, tuple(TASKS), count=50
            )
            for n in (10, 1, 2, 5, 20)
        },
        **{
            f"tasks, regression{' + noise' if noise else ''}": Condition(
                "tasks_regression", one | {"execute": 3}, tuple(TASKS), count=50, gaussian=noise
            )
            for noise in (False, True)
        },
    }


def _wall(options: dict, checkpoint: str = "wall", runway: float = RUNWAY, **more) -> Condition:
    """A condition at the wall; 8 of 16 actions are executed unless `options` say otherwise."""
    return Condition(checkpoint, options | {"environment": {"runway": runway}}, **more)


def measure(name: str, condition: Condition, workers: int = 1) -> list[Trial]:
    """The condition's trials: those of RESULTS and of the cache, and whatever is missing."""
    setting = condition.setting()
    options = setting.identity() | {"seed": SEED}
    key = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]
    out = cache_folder() / "study" / f"{key}.json"
    packed = _packed().get(name, {})
    if not out.exists() and packed.get("options") == json.loads(json.dumps(options)):
        trials.write(out, setting, options, _unpack(packed))
    print(name, flush=True)
    found = trials.run(
        setting, list(condition.tasks), condition.count, SEED, out=out, workers=workers
    )
    entry = asdict(condition) | {"sha256": condition.weights(), "options": options}
    entry["trials"] = {}
    for t in found:
        row = [int(getattr(t, column)) for column in COLUMNS]
        entry["trials"].setdefault(t.task, []).append(row)
    if condition.paths:
        known = packed.get("hand") if packed.get("options") == entry["options"] else None
        entry["hand"] = known or _hand_paths(condition, setting)
    _pack(name, entry)
    return found


def _hand_paths(condition: Condition, setting: trials.Setting) -> list:
    """The hand's x and y in millimetres at every frame of the first trials of the first task."""
    policy, task = setting.policy(), condition.tasks[0]
    env, found = setting.make(task, policy.config.vision.image_size), []
    for i in range(condition.paths):
        trial = rollout(env, policy, trials.APART * SEED + i, task=task, record=True)
        found.append(np.round(1000 * trial.recording.states[:, :2]).astype(int).tolist())
    env.close()
    return found


def load() -> dict[str, list[Trial]]:
    """Every measured trial, by the condition's name. Raises FileNotFoundError where none is."""
    return {name: _unpack(entry) for name, entry in _packed(missing_ok=False).items()}


def paths() -> dict[str, list[np.ndarray]]:
    """Where the hand went, x and y in metres, [T, 2] per trial, of the conditions that keep it."""
    return {
        name: [np.array(path) / 1000 for path in entry["hand"]]
        for name, entry in _packed(missing_ok=False).items()
        if "hand" in entry
    }


def with_noise(folder: Path) -> Path:
    """A folder in the cache: the regression of `folder` and the noise of its residuals.

    The residuals are those of 4,000 frames of the demonstrations that it was trained on.
    """
    weights = hashlib.sha256(without_checksums(folder / "model.safetensors")).hexdigest()[:16]
    out = cache_folder() / "study" / f"gaussian-{weights}"
    if not out.exists():
        regression = Regression.from_pretrained(folder)
        config = regression.config
        source = recipes.demonstrations(recipes.RECIPES[folder.name].demonstrations)
        size = config.vision.image_size
        dataset = data.load(source, config.horizon, image_size=size, split="all", test_every=None)
        found = residuals(regression.float(), dataset, spread(dataset, 4000))
        GaussianRegression(regression, found).save_pretrained(out)
    return out


def _packed(missing_ok: bool = True) -> dict[str, dict]:
    if missing_ok and not RESULTS.exists():
        return {}
    return json.loads(RESULTS.read_text())["conditions"]


def _unpack(entry: dict) -> list[Trial]:
    found = []
    for task, rows in entry["trials"].items():
        for seed, success, touched, side, frames in rows:
            found.append(Trial(task, seed, bool(success), bool(touched), side, frames))
    return found


def _pack(name: str, entry: dict) -> None:
    """A line for every condition: small, and a change of one shows as one."""
    everything = _packed() | {name: entry}
    known = [n for n in conditions() if n in everything]
    ordered = [*known, *(n for n in everything if n not in known)]
    lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(everything[n])}" for n in ordered)
    head = {"command": "python notebooks/measure_11.py", "columns": COLUMNS}
    text = json.dumps(head)[:-1] + ', "conditions": {\n' + lines + "\n}}\n"
    RESULTS.parent.mkdir(exist_ok=True)
    write_atomically(RESULTS, lambda path: path.write_text(text))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python notebooks/measure_11.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("words", nargs="*", help="of the conditions' names; without, all")
    parser.add_argument("--trials", type=int, help="of each task, other than planned")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    args = parser.parse_args(arguments)
    chosen = {
        name: condition
        for name, condition in conditions().items()
        if not args.words or any(word in name for word in args.words)
    }
    if not chosen:
        parser.error(f"no condition's name holds {args.words}; there are {', '.join(conditions())}")
    for name, condition in chosen.items():
        if args.trials:
            condition = replace(condition, count=args.trials)
        print(trials.table(measure(name, condition, args.workers)), flush=True)


if __name__ == "__main__":
    main()
