"""Demonstrations of one simulated task, two ways:  python -m minipi0.robot.two_ways --out FOLDER

The task: put the puck behind the wall, grasp included. The demonstrations come from Meta-World's
scripted pick-and-place expert, made multimodal on purpose, as human ones are: half of them carry
the puck past the wall on the left, half on the right, each at its own speed and with its own
pauses, and nothing in the observation tells beforehand which.

This made the data set that the package carries. State, action and control rate: `simulator`.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from minipi0.command_line import Parser
from minipi0.data.writer import Episode, write
from minipi0.robot import simulator
from minipi0.robot.simulator import (
    ACTION_NAMES,
    FPS,
    HOLD,
    LEFT,
    RIGHT,
    STATE_NAMES,
    check_action,
    make_world,
    proprioception,
)

TASK = "put the puck behind the wall"
CARRIED = Path(__file__).parents[1] / "data" / "carried" / "metaworld_two_ways"
CAMERA = "observation.images.front"
FRONT = dict(lookat=(0, 0.71, 0.06), azimuth=-115, elevation=-50, distance=0.88)
WALL = np.array([0.0, 0.75, 0.06])  # its centre; 0.24 m wide, 0.02 m deep, 0.12 m high
GOAL = np.array([0.0, 0.86, 0.02])  # of the puck, behind the wall; in every episode, marked nowhere
MAX_FRAMES = 100


def make_env():
    """Meta-World's pick-and-place with a wall, the wall between puck and goal.

    Raises ImportError without metaworld.
    """
    env = make_world("pick-place-wall-v3")
    wall = env.model.body("wall")
    wall.pos[:] = WALL
    for body, colour in ((wall, (0.25, 0.4, 0.75, 1)), (env.model.body("obj"), (1, 0.85, 0.1, 1))):
        geoms = env.model.geom_bodyid == body.id
        env.model.geom_matid[geoms] = -1  # bricks on wood, a puck as red as the arm: hard to see
        env.model.geom_rgba[geoms] = colour
    return env


def reset(env, rng: np.random.Generator) -> np.ndarray:
    """A fresh scene: where hand and puck start is drawn from `rng`.

    Returns Meta-World's observation, float64[39]: hand (3), gripper opening, puck position (3) and
    quaternion (4), zeros, the same one step earlier, and zeros where it would name the goal.
    """
    env.hand_init_pos = rng.uniform((-0.04, 0.47, 0.16), (0.04, 0.53, 0.24))
    env._last_rand_vec = np.concatenate(
        [rng.uniform((-0.06, 0.60, 0.015), (0.06, 0.65, 0.015)), GOAL]
    )
    return env.reset()[0]


def step(env, action: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """One control step of 0.1 s. action: (4,).

    Returns the observation, whether the puck is at the goal (within 7 cm), and whether arm or puck
    touched the wall on the way.
    """
    touched, action = False, check_action(action)
    for _ in range(HOLD):
        observation, _, _, _, info = env.step(action)
        touched |= bool(
            (env.model.geom_bodyid[env.data.contact.geom] == env.model.body("wall").id).any()
        )
    return observation, bool(info["success"]), touched


class Demonstrator:
    """Meta-World's scripted expert, led past the wall on one side.

    It is told a way-point as its goal until it gets there. What else differs between two people is
    drawn from `rng`: speed, where exactly the path runs, how long to pause before the gripper
    closes and before it opens. The expert's half-way gripper command 0 becomes -1: a gripper is
    told to be open or closed, nothing else.

    sides: on which side the puck is carried past the wall, to which side the hand leaves in the
        end, each LEFT or RIGHT.
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
        """The action, float32[4]. observation: float64[39], Meta-World's."""
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


class Camera(simulator.Camera):
    """Pictures of the scene from the front, obliquely from above: hand, puck and wall."""

    def __init__(self, env, size: int = 96):
        super().__init__(env, size, FRONT)


@dataclass
class Rollout:
    """An episode of T frames.

    states, actions: float32[T, 4]; states[t] was seen before actions[t].
    frames: uint8[T, size, size, 3] or None.
    """

    states: np.ndarray
    actions: np.ndarray
    frames: np.ndarray | None
    success: bool
    touched: bool


def record(
    env, observation: np.ndarray, policy, camera: Camera | None = None, frames: int = MAX_FRAMES
) -> Rollout:
    """Let `policy`, observation [39] -> action [4], act in a scene just reset.

    It ends when the puck lies at the goal and the hand has left to a side (success), or after
    `frames` actions.
    """
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
    """One successful demonstration on these `sides` that never touched the wall.

    Attempts that fail are drawn again. The scene's random numbers and the demonstrator's are
    separate streams: the sides cannot show in the first observation.
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
    """int[episodes, 2]: carry and leave sides, shuffled, independent, each LEFT in half of them."""
    pairs = [(carry, leave) for carry in (LEFT, RIGHT) for leave in (LEFT, RIGHT)]
    return np.random.default_rng([seed]).permutation(
        np.array([pairs[i % 4] for i in range(episodes)])
    )


def generate(out: Path, episodes: int = 80, seed: int = 0, size: int = 96) -> Path:
    """Write `episodes` demonstrations to `out` in LeRobot's v3.0 layout.

    size: pixels a side, 0 for no video.
    """
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
    parser = Parser(
        prog="python -m minipi0.robot.two_ways",
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
    with parser.errors_in_one_line(arguments):
        print(generate(arguments.out, arguments.episodes, arguments.seed, arguments.size))


if __name__ == "__main__":
    main()
