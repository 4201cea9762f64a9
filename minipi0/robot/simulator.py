"""Meta-World (MuJoCo) as the robot one can roll out, and demonstrations made with it:  python -m minipi0.robot.simulator --out FOLDER

The task: put the puck behind the wall. The demonstrations come from Meta-World's scripted pick-and-place expert, made
multimodal on purpose, as human ones are: half of them carry the puck past the wall on the left, half on the right,
each at its own speed and with its own pauses, and nothing in the observation tells beforehand which.

The control rate is 10 Hz: an action is held for 8 of Meta-World's steps of 12.5 ms. State and action, (4,) each:
state  = hand x, y, z (m) and gripper opening (0 ... 1), what a real robot's own sensors tell (no puck position)
action = hand velocity x, y, z (1 is 0.8 m/s) and gripper command, 1 to close, -1 to open, nothing between
x points to the robot's right, y ahead, z up. `metaworld` and `mujoco` are needed here only: the package and the carried
data work without them. Rendering needs an OpenGL library: EGL, or OSMesa with MUJOCO_GL=osmesa.
"""

import argparse
import atexit
import importlib
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from minipi0.data.writer import Episode, write

TASK = "put the puck behind the wall"
FPS = 10
HOLD = 8  # simulator steps an action is held for
CARRIED = Path(__file__).parents[1] / "data" / "carried" / "metaworld_two_ways"
CAMERA = "observation.images.front"
WALL = np.array([0.0, 0.75, 0.06])  # its centre; 0.24 m wide, 0.02 m deep, 0.12 m high
GOAL = np.array(
    [0.0, 0.86, 0.02]
)  # of the puck: on the table behind the wall; the same in every episode, marked nowhere
LEFT, RIGHT = -1, 1  # the sign of x
STATE_NAMES = ["hand_x", "hand_y", "hand_z", "gripper_opening"]
ACTION_NAMES = ["velocity_x", "velocity_y", "velocity_z", "gripper"]
MAX_FRAMES = 100


def make_env():
    """Meta-World's pick-and-place with a wall, the wall between puck and goal. Raises ImportError without metaworld."""
    _choose_gl()
    try:
        from metaworld.envs.sawyer_pick_place_wall_v3 import SawyerPickPlaceWallEnvV3
    except ImportError as error:
        raise ImportError(
            "the simulator needs Meta-World: pip install -r requirements.txt (Python 3.11 to 3.13)"
        ) from error
    env = SawyerPickPlaceWallEnvV3()
    env._set_task_called = True  # we choose the scene, not one of its benchmarks
    env.max_path_length = (
        sys.maxsize
    )  # it counts simulator steps and would stop after 6 s; `record` counts frames
    wall = env.model.body("wall")
    wall.pos[:] = WALL
    for body, colour in ((wall, (0.25, 0.4, 0.75, 1)), (env.model.body("obj"), (1, 0.85, 0.1, 1))):
        geoms = env.model.geom_bodyid == body.id
        env.model.geom_matid[
            geoms
        ] = -1  # bricks on wood, and a puck as red as the arm, are hard to see at 96 pixels
        env.model.geom_rgba[geoms] = colour
    return env


def _choose_gl() -> None:
    """Without a screen: EGL, or no rendering. mujoco reads the variable on import, which fails where the library is missing."""
    if sys.platform == "linux" and not {"DISPLAY", "MUJOCO_GL"} & set(os.environ):
        os.environ["MUJOCO_GL"] = "egl"
        try:
            importlib.import_module("mujoco")
        except ModuleNotFoundError:
            del os.environ["MUJOCO_GL"]  # not installed: make_env says so
        except Exception:
            os.environ["MUJOCO_GL"] = "disabled"  # Camera says so; everything else works


def reset(env, rng: np.random.Generator) -> np.ndarray:
    """A fresh scene: where hand and puck start is drawn from `rng`.

    Returns Meta-World's observation, (39,): hand (3), gripper opening, puck position (3) and quaternion (4), zeros, the same one step
    earlier, and zeros where it would name the goal.
    """
    env.hand_init_pos = rng.uniform((-0.04, 0.47, 0.16), (0.04, 0.53, 0.24))
    env._last_rand_vec = np.concatenate(
        [rng.uniform((-0.06, 0.60, 0.015), (0.06, 0.65, 0.015)), GOAL]
    )
    return env.reset()[0]


def step(env, action: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """One control step of 0.1 s. action: (4,).

    Returns the observation (39,), whether the puck is at the goal (within 7 cm), and whether arm or puck touched the wall on the way.
    """
    if np.shape(action) != (4,) or not np.isfinite(action).all():
        raise ValueError(f"an action is 4 finite numbers (vx, vy, vz, gripper), got {action!r}")
    touched = False
    for _ in range(HOLD):
        observation, _, _, _, info = env.step(np.asarray(action, dtype=np.float64))
        touched |= bool(
            (env.model.geom_bodyid[env.data.contact.geom] == env.model.body("wall").id).any()
        )
    return observation, bool(info["success"]), touched


def proprioception(observation: np.ndarray) -> np.ndarray:
    """What a real robot knows of itself: hand position (m) and gripper opening (0 ... 1), (4,) float32."""
    return observation[:4].astype(np.float32)


class Demonstrator:
    """Meta-World's scripted expert, led past the wall on one side: it is told a way-point as its goal until it gets there.

    sides: (side on which the puck is carried past the wall, side to which the hand leaves in the end), each LEFT or RIGHT.
    What else differs between two people is drawn from `rng`: speed, where exactly the path runs, how long to pause before the gripper
    closes and before it opens. The expert's half-way gripper command 0 becomes -1: a gripper is told to be open or closed, nothing else.
    """

    def __init__(self, sides: tuple[int, int], rng: np.random.Generator):
        from metaworld.policies import SawyerPickPlaceV3Policy

        self.expert = SawyerPickPlaceV3Policy()
        carry, leave = sides
        self.speed = rng.uniform(0.3, 0.5)
        x, height = carry * rng.uniform(0.19, 0.24), rng.uniform(0.12, 0.18)
        self.way = [
            np.array([x, 0.68, height]),
            np.array([x, 0.81, height]),
            GOAL + (0, 0, 0.055),
        ]  # of the hand, above the puck
        self.exit = np.array([leave * 0.25, GOAL[1], 0.2])
        self.pause_grasp, self.pause_release = rng.integers(0, 13, size=2)
        self.released = False

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """observation: (39,), Meta-World's. Returns the action, (4,) float32."""
        hand = observation[:3]
        if len(self.way) > 1 and np.linalg.norm(hand - self.way[0]) < 0.04:
            self.way.pop(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it asks for more than 1: it is slowed down below
            wanted = self.expert.get_action(np.concatenate([observation[:-3], self.way[0]]))
        move, close = (
            wanted[:3] * 0.5,
            wanted[3] > 0.5,
        )  # half its gain: it acts at 10 Hz here, not at 80
        if close and self.pause_grasp > 0:
            self.pause_grasp -= 1
            close = False
        if len(self.way) == 1 and np.linalg.norm(hand - self.way[0]) < 0.025:
            self.pause_release -= 1
            self.released |= self.pause_release < 0
        if self.released:
            move, close = 5 * (self.exit - hand), False
        move = move * min(1, self.speed / max(np.linalg.norm(move), 1e-9))
        return np.array([*move, 1 if close else -1], dtype=np.float32)


class Camera:
    """Pictures of the scene from the front, obliquely from above: hand, puck and wall; the goal marker stays hidden.

    size: pixels a side. Raises RuntimeError where no OpenGL is found.
    """

    def __init__(self, env, size: int = 96):
        import mujoco

        env.model.vis.quality.shadowsize = env.model.vis.quality.offsamples = 0
        self.env, self.size = env, size
        try:
            mujoco.gl_context.GLContext  # noqa: B018 (absent when rendering is disabled; Renderer would fail less cleanly)
            self.renderer = mujoco.Renderer(
                env.model, 2 * size, 2 * size
            )  # averaged by twos: cheaper than multisampling
        except Exception as error:  # which one depends on what is missing
            raise RuntimeError(
                "no OpenGL to render with: install EGL, or OSMesa and set MUJOCO_GL=osmesa; it is chosen when mujoco is first imported, "
                "so call make_env before you import mujoco yourself"
            ) from error
        atexit.register(
            self.renderer.close
        )  # before mujoco's own exit handler closes the display under it
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self.renderer.scene.flags[flag] = 0
        self.options = mujoco.MjvOption()
        self.options.sitegroup[:] = 0  # the goal marker is a site
        self.view = mujoco.MjvCamera()
        self.view.lookat[:], self.view.azimuth, self.view.elevation, self.view.distance = (
            (0, 0.71, 0.06),
            -115,
            -50,
            0.88,
        )

    def __call__(self) -> np.ndarray:
        """The scene as it is, (size, size, 3) uint8."""
        self.renderer.update_scene(self.env.data, camera=self.view, scene_option=self.options)
        fine = self.renderer.render().reshape(self.size, 2, self.size, 2, 3)
        return (fine.mean(axis=(1, 3)) + 0.5).astype(np.uint8)


@dataclass
class Rollout:
    """states, actions: (T, 4) float32, states[t] seen before actions[t]. frames: (T, size, size, 3) uint8 or None."""

    states: np.ndarray
    actions: np.ndarray
    frames: np.ndarray | None
    success: bool
    touched: bool


def record(
    env, observation: np.ndarray, policy, camera: Camera | None = None, frames: int = MAX_FRAMES
) -> Rollout:
    """Let `policy`, observation (39,) -> action (4,), act in a scene just reset, until the puck lies at the goal and the hand has left
    to a side (success), or `frames` actions were taken."""
    states, actions, pictures, touched, done = [], [], [], False, False
    while not done and len(actions) < frames:
        states.append(proprioception(observation))
        actions.append(np.asarray(policy(observation), dtype=np.float32))
        if camera:
            pictures.append(camera())
        observation, success, hit = step(env, actions[-1])
        touched |= hit
        done = (
            success
            and observation[6] < 0.04
            and abs(observation[0]) > 0.15
            and observation[1] > 0.8
        )
    return Rollout(
        np.stack(states), np.stack(actions), np.stack(pictures) if camera else None, done, touched
    )


def demonstrate(
    env,
    seed: int,
    episode: int,
    sides: tuple[int, int],
    camera: Camera | None = None,
    tries: int = 20,
) -> Rollout:
    """One successful demonstration on these `sides` that never touched the wall; attempts that fail are drawn again.

    The scene's random numbers and the demonstrator's are separate streams: the sides cannot show in the first observation.
    """
    for attempt in range(tries):
        observation = reset(env, np.random.default_rng([seed, episode, attempt, 0]))
        rollout = record(
            env,
            observation,
            Demonstrator(sides, np.random.default_rng([seed, episode, attempt, 1])),
            camera,
        )
        if rollout.success and not rollout.touched:
            return rollout
    raise RuntimeError(f"episode {episode}: no success in {tries} attempts")


def sides_of(episodes: int, seed: int) -> np.ndarray:
    """(episodes, 2): carry and leave sides, shuffled, each LEFT in half of the episodes, independent of one another."""
    pairs = [(carry, leave) for carry in (LEFT, RIGHT) for leave in (LEFT, RIGHT)]
    return np.random.default_rng([seed]).permutation(
        np.array([pairs[i % 4] for i in range(episodes)])
    )


def generate(out: Path, episodes: int = 80, seed: int = 0, size: int = 96) -> Path:
    """Record `episodes` demonstrations and write them to `out` in LeRobot's v3.0 layout. size: pixels a side, 0 for no video."""
    env = make_env()
    camera = Camera(env, size) if size else None
    recorded = []
    for index, sides in enumerate(
        tqdm(sides_of(episodes, seed), desc="demonstrations", unit="episode")
    ):
        rollout = demonstrate(env, seed, index, tuple(sides), camera)
        recorded.append(
            Episode(rollout.states, rollout.actions, TASK, {CAMERA: rollout.frames} if size else {})
        )
    return write(
        out, recorded, FPS, STATE_NAMES, ACTION_NAMES, robot_type="sawyer", episodes_per_file=40
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m minipi0.robot.simulator",
        description="Simulated demonstrations in LeRobot's v3.0 layout.",
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--episodes", type=int, default=80, help="how many (default: %(default)s)")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="the same seed gives the same states and actions (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=int,
        default=96,
        help="pixels a side, even; 0 leaves the video out (default: %(default)s)",
    )
    arguments = parser.parse_args()
    if arguments.episodes < 1 or arguments.size < 0 or arguments.size % 2:
        parser.error("--episodes must be at least 1, --size even")
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists: name a new folder")
    print(generate(arguments.out, arguments.episodes, arguments.seed, arguments.size))


if __name__ == "__main__":
    main()
