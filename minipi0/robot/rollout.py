"""One trial: a policy acts in an environment until success or the end; its film, if wanted.

Axes: T frames, S state dims, D action dims.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from minipi0.checkpoint import write_atomically


@dataclass(frozen=True)
class Recording:
    """What happened: state and picture before every action, and a last picture after it.

    states: float32[T, S]. actions: float32[T, D]. pictures: uint8[T + 1, H, W, 3], or None.
    asked: the frames at which a chunk was asked for.
    """

    states: np.ndarray
    actions: np.ndarray
    pictures: np.ndarray | None
    asked: list[int]


@dataclass(frozen=True)
class Trial:
    """The outcome of one trial, which (task, seed) and the policy fix.

    touched: whether the wall was touched, where there is one. side: on which side it was passed,
    -1 left, 1 right, 0 not. frames: T, how long the trial was.
    """

    task: str
    seed: int
    success: bool
    touched: bool
    side: int
    frames: int
    recording: Recording | None = field(default=None, compare=False, repr=False)

    def outcome(self) -> dict:
        """All but the recording, as plain values."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name != "recording"}


def rollout(
    env,
    policy,
    seed: int,
    *,
    task: str = "",
    prompt: str | None = None,
    record: bool = False,
    picture: Callable | None = None,
) -> Trial:
    """Let a policy act from a fresh scene until success or the environment's end.

    env: a gymnasium environment whose observations are what `Policy` takes. Made with
        pictures=False it renders only when the policy looks.
    policy: a Policy, or what has its `reset`, `needs_observation` and `act`.
    seed: fixes the scene and the policy's noise, so the trial is exactly repeatable.
    prompt: said instead of the environment's own instruction; what counts as success stays.
    record: keep states and actions. picture: env -> uint8[H, W, 3], to keep for every frame.
    """
    robot = env.unwrapped
    renders_when_asked = getattr(robot, "pictures", True) is False
    low, high = env.action_space.low, env.action_space.high
    policy.reset(seed)
    seen, info = env.reset(seed=seed)
    states, actions, pictures, asked, done = [], [], [], [], False
    while not done:
        if picture:
            pictures.append(picture(env))
        if policy.needs_observation:
            asked.append(len(actions))
            if renders_when_asked:
                seen = robot.observe()
            if prompt is not None:
                seen = seen | {"prompt": prompt}
        action = np.clip(policy.act(seen), low, high).astype(np.float32)
        states.append(seen["state"])
        actions.append(action)
        seen, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
    recording = None
    if record or picture:
        film = np.stack([*pictures, picture(env)]) if picture else None
        recording = Recording(np.stack(states), np.stack(actions), film, asked)
    return Trial(
        task,
        int(seed),
        bool(info["success"]),
        bool(info.get("touched", False)),
        int(info.get("side", 0)),
        len(actions),
        recording,
    )


def write_video(pictures: np.ndarray, path: str | Path, fps: int = 10) -> None:
    """An MP4 (H.264). pictures: uint8[T, H, W, 3], H and W even."""

    def write(temporary: Path) -> None:
        with av.open(str(temporary), mode="w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps))
            stream.height, stream.width = pictures.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode())

    write_atomically(Path(path).expanduser(), write)


def contact_sheet(pictures: np.ndarray, count: int = 8) -> Image.Image:
    """`count` evenly spaced pictures of a film side by side. pictures: uint8[T, H, W, 3]."""
    chosen = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().astype(int)
    return Image.fromarray(np.concatenate(pictures[chosen], axis=1))
