"""Scripted demonstrations:  python -m minipi0.robot.demonstrate --task Wall --out FOLDER

What is executed is not quite what the expert wanted: noise is added to every action, and now and
then the arm is pushed aside for some frames. What is recorded is what the expert wanted, from where
the arm had got to. So the data show the way back from small errors, which a policy makes and a
perfect demonstrator never shows (Laskey et al., DART, arXiv 1703.09327).
"""

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from tqdm.auto import tqdm

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0.command_line import Parser
from minipi0.data.writer import Episode, write
from minipi0.robot.simulator import ACTION_NAMES, FPS, STATE_NAMES


@dataclass(frozen=True)
class Disturbance:
    """What happens to an action on its way: velocities in units of the action.

    noise: standard deviation of what is added to every frame. push: the largest of a push; one
    begins with probability `often` in a frame and lasts `frames`. The gripper is left alone.
    """

    noise: float = 0.06
    push: float = 0.4
    often: float = 0.03
    frames: int = 3

    def along(self, length: int, rng: np.random.Generator) -> np.ndarray:
        """What to add to each of `length` actions, float64[length, 4]."""
        added = rng.normal(0, self.noise, (length, 4))
        for start in np.flatnonzero(rng.random(length) < self.often):
            added[start : start + self.frames] += rng.uniform(-self.push, self.push, 4)
        added[:, 3] = 0
        return added


@dataclass
class Rollout:
    """An episode of T frames. states[t] was seen before actions[t] was done.

    states, actions: float32[T, 4]. pictures: {camera: uint8[T, H, W, 3]}. info: the last one.
    """

    states: np.ndarray
    actions: np.ndarray
    pictures: dict[str, np.ndarray]
    info: dict

    @property
    def good(self) -> bool:
        return self.info["success"] and not self.info["touched"]


def demonstrate(
    env: gymnasium.Env, seed: int, disturbance: Disturbance | None = None, pictures: bool = True
) -> Rollout:
    """One episode of the scripted expert, successful or not.

    Scene, expert and disturbance have separate random streams: no start tells what follows.
    """
    robot, disturbance = env.unwrapped, disturbance or Disturbance()
    env.reset(seed=seed)
    expert = robot.expert(np.random.default_rng([seed, 1]))
    added = disturbance.along(robot.max_steps, np.random.default_rng([seed, 2]))
    seen, actions, done = [], [], False
    while not done:
        seen.append(robot.observe(pictures))
        actions.append(np.clip(expert(robot.seen), -1, 1).astype(np.float32))
        _, _, success, truncated, info = env.step(
            np.clip(actions[-1] + added[len(actions) - 1], -1, 1)
        )
        done = success or truncated
    shown = {c: np.stack([frame[c] for frame in seen]) for c in robot.cameras if pictures}
    return Rollout(np.stack([frame["state"] for frame in seen]), np.stack(actions), shown, info)


def generate(
    out: str | Path,
    tasks: list[str],
    episodes: int,
    seed: int = 0,
    disturbance: Disturbance | None = None,
    progress: bool = True,
    **options,
) -> Path:
    """Write `episodes` successful demonstrations of each task to `out`, in LeRobot's v3.0 layout.

    tasks: names of registered environments, "Wall" for "minipi0/Wall-v0"; recorded in turn.
    options: for `gymnasium.make`: runway=, image_size=, cameras=, …
    A failed attempt is left out, and the next seed tried. Returns the folder.
    Raises FileExistsError, and RuntimeError when most attempts fail.
    """
    out, recorded, tried = Path(out).expanduser(), [], dict.fromkeys(tasks, 0)
    if out.exists():
        raise FileExistsError(f"{out} exists: name a new folder, or remove it first")
    envs = {t: gymnasium.make(f"minipi0/{t}-v0", pictures=False, **options) for t in tasks}
    for index in tqdm(
        range(episodes * len(tasks)), desc="demonstrations", unit="episode", disable=not progress
    ):
        task = tasks[index % len(tasks)]
        rollout = None
        while rollout is None or not rollout.good:
            if tried[task] > 2 * (index // len(tasks)) + 20:
                raise RuntimeError(f"{task}: {tried[task]} attempts, most of them failed")
            rollout = demonstrate(
                envs[task], hash_seed(seed, tasks.index(task), tried[task]), disturbance
            )
            tried[task] += 1
        videos = {f"observation.images.{c}": frames for c, frames in rollout.pictures.items()}
        prompt = envs[task].unwrapped.prompt
        recorded.append(Episode(rollout.states, rollout.actions, prompt, videos))
    for env in envs.values():
        env.close()
    return write(out, recorded, FPS, STATE_NAMES, ACTION_NAMES, robot_type="sawyer")


def hash_seed(*numbers: int) -> int:
    """One seed from several numbers, so that no two episodes share one by chance of addition."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="python -m minipi0.robot.demonstrate", description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", required=True, help="one or more, for instance Wall")
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--episodes", type=int, default=100, help="of each task (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=64, help="pixels a side (%(default)s)")
    args = parser.parse_args(arguments)
    if args.episodes < 1:
        parser.error("--episodes must be at least 1")
    if args.out.exists():
        parser.error(f"{args.out} exists: name a new folder")
    with parser.errors_in_one_line(args):
        print(generate(args.out, args.task, args.episodes, args.seed, image_size=args.image_size))


if __name__ == "__main__":
    main()
