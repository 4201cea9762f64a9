"""Drive the arm with keys, and keep what happened as demonstrations.

Time stands still while no key is held. So nobody has to hurry, and no frame is recorded in which
nothing is done: a policy would learn from those to do nothing.

Axes: T frames of an episode, S pixels a side.
"""

import threading
import time
from collections.abc import Callable

import numpy as np

from minipi0.data.writer import Episode
from minipi0.robot.simulator import FPS

SPEED = 0.6  # of the hand while a key is held, in units of the action: as the scripted experts
MOVES = {  # key, as browsers name it -> direction of the hand: right, ahead, up
    "ArrowLeft": (-1, 0, 0),
    "ArrowRight": (1, 0, 0),
    "ArrowUp": (0, 1, 0),
    "ArrowDown": (0, -1, 0),
    "w": (0, 0, 1),
    "s": (0, 0, -1),
}
GRIPPER = " "  # closes it, and opens it again


def action_of(keys, closed: bool) -> np.ndarray:
    """What the held keys ask for, float32[4]: velocity x, y, z, and the gripper."""
    way = np.sum([MOVES.get(key, (0, 0, 0)) for key in keys] + [(0, 0, 0)], axis=0)
    way = way / max(np.linalg.norm(way), 1)
    return np.array([*SPEED * way, 1 if closed else -1], dtype=np.float32)


class Teleoperation:
    """An arm that follows keys, in a thread of its own. Every success is kept as an episode.

    make: () -> gymnasium environment, as `minipi0.robot` registers them.
    show: called with a picture, uint8[S, S, 3] or None, and a sentence, after every frame.
    size: S. seed: of the first scene; every later one has the next seed.

    `episodes` are the successes so far. The arm is there from the first `begin` on.
    """

    def __init__(self, make: Callable, show: Callable, size: int = 320, seed: int = 1000):
        self._make, self._show, self._size, self._seed = make, show, size, seed
        self.episodes: list[Episode] = []
        self._held: frozenset[str] = frozenset()
        self._tapped: frozenset[str] = (
            frozenset()
        )  # held since the last frame, if only for a moment
        self._closed, self._fresh, self._closing, self._over = False, False, False, True
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    # ---- called from any thread ------------------------------------------------------------------

    def press(self, keys) -> None:
        """The keys that are held from now on."""
        with self._wake:
            keys = frozenset(keys)
            if GRIPPER in keys - self._held:
                self._closed = not self._closed
            self._held, self._tapped = keys, self._tapped | keys
            self._wake.notify_all()

    def begin(self) -> None:
        """A fresh scene. What was not yet a success is thrown away."""
        with self._wake:
            self._fresh = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="teleop", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def close(self) -> None:
        """End the thread, and free what it holds. The episodes stay."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(5)

    # ---- the thread ------------------------------------------------------------------------------

    def _work(self) -> None:
        env = None
        try:
            env = self._make().unwrapped
            while True:
                with self._wake:
                    self._wake.wait_for(self._wanted)
                    if self._closing:
                        return
                    fresh, keys = self._fresh, self._held | self._tapped
                    self._fresh, self._tapped = False, frozenset()
                began = time.monotonic()
                said = self._reset(env) if fresh else self._step(env, action_of(keys, self._closed))
                self._show(env.render("front", self._size), said)
                time.sleep(max(0.0, began + 1 / FPS - time.monotonic()))
        except Exception as error:  # the reader must see it, wherever it comes from
            self._show(None, f"{type(error).__name__}: {error}")
        finally:
            if env is not None:
                env.close()

    def _wanted(self) -> bool:
        moving = not self._over and bool(self._held | self._tapped)
        return self._closing or self._fresh or moving

    def _reset(self, env) -> str:
        env.reset(seed=self._seed)
        self._seed += 1
        self._seen, self._actions = [], []
        self._over, self._closed, self._tapped = False, False, frozenset()
        return f'"{env.prompt}": the arm is yours.'

    def _step(self, env, action: np.ndarray) -> str:
        self._seen.append(env.observe())
        self._actions.append(action)
        _, _, success, truncated, _ = env.step(action)
        self._over = success or truncated
        seconds = f"{len(self._actions) / FPS:.1f} s"
        if success:
            self.episodes.append(self._episode(env))
            return f"Success after {seconds}. Demonstrations: {len(self.episodes)}."
        if truncated:
            return f"No success within {seconds}: not kept. Begin a new scene."
        return f"{seconds} of at most {env.max_steps / FPS:.1f} s."

    def _episode(self, env) -> Episode:
        pictures = {
            f"observation.images.{camera}": np.stack([seen[camera] for seen in self._seen])
            for camera in env.cameras
        }
        states = np.stack([seen["state"] for seen in self._seen])
        return Episode(states, np.stack(self._actions), env.prompt, pictures)
