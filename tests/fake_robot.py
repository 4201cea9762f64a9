"""A robot that needs no simulator: a dot that moves in a picture, and policies for it.

For tests of what shows robots.
"""

import copy
from types import SimpleNamespace

import gymnasium
import numpy as np

from minipi0.robot.watch import Scene


class Dot(gymnasium.Env):
    """The hand is a red dot on grey; success is to be more than 0.4 m ahead.

    The seed says where it starts.
    """

    max_steps = 12
    made = 0

    def __init__(self):
        Dot.made += 1
        self.prompt, self.pictures, self.closed = "go", True, False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.hand, self.frame = np.array([0.02 * (seed % 10) - 0.1, 0.0, 0.1]), 0
        return self.observe(self.pictures), {"success": False, "touched": False, "side": 0}

    def step(self, action):
        self.hand = self.hand + 0.08 * np.clip(action[:3], -1, 1)
        self.frame += 1
        success = bool(self.hand[1] > 0.4)
        info = {"success": success, "touched": bool(abs(self.hand[0]) > 0.3), "side": 1}
        return self.observe(self.pictures), 0.0, success, self.frame >= self.max_steps, info

    def observe(self, pictures=True):
        seen = {"state": np.array([*self.hand, 1], np.float32), "prompt": self.prompt}
        return ({"front": self.render(), "hand": self.render()} if pictures else {}) | seen

    def render(self, camera="front", size=64):
        picture = np.full((size, size, 3), 120, np.uint8)
        column, row = (self.project(self.hand) * size).astype(int)
        picture[max(0, row - 8) : row + 8, max(0, column - 8) : column + 8] = (200, 30, 30)
        return picture

    def projection(self):
        return self.project

    @staticmethod
    def project(points):
        points = np.asarray(points)
        return np.stack([points[..., 0] + 0.5, 0.9 - points[..., 1]], axis=-1)

    def close(self):
        self.closed = True


class Ahead:
    """Moves ahead, a little to a side that the seed draws; says what it was told."""

    config = SimpleNamespace(horizon=16)

    def __init__(self):
        self.steps, self.execute, self.told = 10, 5, []

    def another(self):
        return copy.copy(self)

    def reset(self, seed=None):
        self.seed, self.calls = seed, 0

    def chunk(self, observation, samples=1):
        self.told.append((observation["prompt"], self.steps))
        rng = np.random.default_rng([self.seed, self.calls])
        chunks = np.zeros((samples, self.config.horizon, 4), np.float32)
        chunks[..., 1] = 0.8 if "slowly" not in observation["prompt"] else 0.1
        chunks[..., 0] = rng.normal(size=(samples, 1)) / 5
        return chunks


class Broken(Ahead):
    def chunk(self, observation, samples=1):
        raise ValueError("the weights are of another robot")


def scenes():
    """A scene with two policies and two instructions, and another scene."""
    words = ["go ahead", "go ahead slowly"]
    return {
        "a dot": Scene(Dot, words, {"flow": Ahead(), "broken": Broken()}),
        "another dot": Scene(Dot, ["go on"], {"flow": Ahead()}, execute=3),
    }
