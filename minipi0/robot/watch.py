"""An episode as a reader watches it.

A larger picture, what happened in words, and the fan of sampled chunks over it.

When the policy is asked for a chunk, more chunks are sampled for the same observation: the fan.
It shows what else the policy might have done. Each chunk is drawn as the path that the hand would
take if it followed the chunk exactly.

Axes: M sampled chunks, H action horizon, D action dims, k executed actions, S pixels a side.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np

from minipi0.robot.simulator import FPS

REACH = 0.8 / FPS  # metres that the hand moves in one action of size 1


@dataclass(frozen=True)
class Scene:
    """A place to act in, what can be said there, and what can act.

    make: () -> gymnasium environment, as `minipi0.robot` registers them.
    instructions: what to choose from; the first is the usual one.
    policies: {name: Policy}, see `minipi0.robot.policy`.
    execute: actions of a chunk that are carried out here, unless the reader chooses otherwise.
    """

    make: Callable
    instructions: list[str]
    policies: dict
    execute: int = 5


@dataclass(frozen=True)
class Settings:
    """What the reader chooses.

    Where, what is said, who acts, from which start, with how many Euler steps and so on.
    """

    scene: str
    instruction: str
    policy: str
    seed: int = 0
    steps: int = 10
    execute: int = 5
    speed: float = 1.0
    samples: int = 16  # chunks in the fan; 0: none


@dataclass(frozen=True)
class Moment:
    """What there is to see after an action.

    picture: uint8[S, S, 3].
    frame, limit: actions taken so far, and at most.
    fan: float[M, H + 1, 2], chosen: float[k + 1, 2], hand paths in the picture, column and row
        from 0 to 1.
    info: the environment's. over: whether the episode has ended.
    """

    picture: np.ndarray
    frame: int
    limit: int
    fan: np.ndarray
    chosen: np.ndarray
    info: dict
    over: bool

    @property
    def line(self) -> str:
        """What has happened so far, in plain words."""
        time, longest = f"{self.frame / FPS:.1f} s", f"{self.limit / FPS:.1f} s"
        said = [f"{time} of at most {longest}."]
        if self.over:
            success = self.info["success"]
            said = [f"Success after {time}." if success else f"No success within {time}."]
        if side := self.info.get("side"):
            said.append(f"It passed the wall on the {'left' if side < 0 else 'right'}.")
        if self.info.get("touched"):
            said.append("It has touched the wall.")
        return " ".join(said)


def hand_path(hand: np.ndarray, chunk: np.ndarray) -> np.ndarray:
    """Where the hand would go if it followed a chunk at once and exactly.

    hand: float[3], its place in metres. chunk: float[..., H, D], the first three dims velocities.
    Returns float[..., H + 1, 3], the hand's place now first.
    """
    moves = REACH * np.clip(np.asarray(chunk, dtype=np.float64)[..., :3], -1, 1)
    return hand + np.concatenate([0 * moves[..., :1, :], moves.cumsum(axis=-2)], axis=-2)


class Runner:
    """Carries out episodes action by action.

    Not for several threads: OpenGL binds it to the one that begins.

    scenes: {name: Scene}. size: pixels a side of the reader's picture.
    """

    def __init__(self, scenes: dict[str, Scene], size: int = 320):
        self.scenes, self.size = scenes, size
        self.env, self._env_of = None, None

    def begin(self, settings: Settings) -> Moment:
        """The first moment of an episode, with the first chunk's fan.

        Makes the environment unless it is at hand.
        """
        scene = self.scenes[settings.scene]
        if self._env_of != settings.scene:
            self.close()
            self.env, self._env_of = scene.make().unwrapped, settings.scene
            self.env.pictures = False  # the policy looks at few frames
        self.policy = scene.policies[settings.policy].another()  # with a queue of its own
        self.policy.reset(settings.seed)
        _, info = self.env.reset(seed=settings.seed)
        self.env.prompt = settings.instruction
        self._queue, self._frame = deque(), 0
        self._ask(settings)
        return self._moment(info, False)

    def advance(self, settings: Settings) -> Moment:
        """The moment after the next action.

        Steps, executed actions and fan are read when a new chunk is asked for.
        """
        if not self._queue:
            self._ask(settings)
        _, _, terminated, truncated, info = self.env.step(self._queue.popleft())
        self._frame += 1
        return self._moment(info, terminated or truncated)

    def close(self) -> None:
        """Free the environment; more than once does no harm."""
        if self.env is not None:
            self.env.close()
        self.env = self._env_of = None

    def _ask(self, settings: Settings) -> None:
        self.policy.steps, self.policy.execute = settings.steps, settings.execute
        seen = self.env.observe()
        hand = np.asarray(seen["state"], dtype=np.float64)[:3]
        see = self.env.projection()
        chunks = self.policy.chunk(seen, max(settings.samples, 1))  # (M, H, D)
        self.policy.calls += 1  # the next chunk has other noise
        actions = chunks[0, : settings.execute]
        self._queue.extend(actions)
        self._fan = see(hand_path(hand, chunks)) if settings.samples else np.zeros((0, 1, 2))
        self._chosen = see(hand_path(hand, actions))

    def _moment(self, info: dict, over: bool) -> Moment:
        picture = self.env.render("front", self.size)
        limit = self.env.max_steps
        return Moment(picture, self._frame, limit, self._fan, self._chosen, dict(info), over)


def trouble() -> str:
    """Why no robot can be watched on this machine, as a sentence; "" where one can."""
    import minipi0.robot  # noqa: F401 (registers the environments)

    try:
        env = gymnasium.make("minipi0/Wall-v0", pictures=False, disable_env_checker=True).unwrapped
        env.reset(seed=0)
        env.render()
        env.close()
    except (ImportError, RuntimeError) as error:
        return str(error)
    return ""


def watch(scenes: dict[str, Scene], settings: Settings, size: int = 320) -> list[Moment]:
    """A whole episode at once: every moment of it, the start first."""
    runner = Runner(scenes, size)
    try:
        moments = [runner.begin(settings)]
        while not moments[-1].over:
            moments.append(runner.advance(settings))
        return moments
    finally:
        runner.close()
