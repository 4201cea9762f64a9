"""Robot demonstrations as a model trains on them: what the robot saw, and the chunk of actions that followed.

`load` joins four steps: where the data set is (`sources.py`), its tables (`lerobot.py`), its frames (`frames.py`), and the items,
here. An item is a frame of an episode. Axes: N items, B batch, C cameras, H action horizon, D action dims, S state dims, L tokens.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minipi0 import prompt
from minipi0.data import frames, lerobot, sources
from minipi0.observation import Observation

SPLITS = ("train", "test", "all")


def load(
    source: str | Path,
    horizon: int,
    cameras: list[str] | None = None,
    image_size: int = 64,
    split: str = "train",
    test_every: int | None = 5,
    seed: int = 0,
    *,
    prompt_length: int | None = prompt.LENGTH,
    tokenizer=None,
    state_key: str | None = None,
    action_key: str | None = None,
) -> "ActionChunks":
    """Load a LeRobot data set (v2.0, v2.1 or v3.0), normalised and cut into action chunks.

    source: a name of `sources.NAMES` ("cr5-banana", "metaworld-two-ways"), a folder, or a Hugging Face repo id ("owner/name").
        "cr5-banana" is $MINIPI0_DATA/cr5_banana if there, else it is fetched once from its pinned source.
    horizon: H, actions in a chunk.
    cameras: features to see, in this order ("observation.images.top", or "top" where that is clear); None for all, [] for none,
        which needs no video.
    image_size: frames are shrunk to fit this square whole, black around them.
    split: "test" is every `test_every`-th episode (the first, the sixth, ...), "train" the others, "all" both. test_every=None
        holds none out.
    seed: of the order in which `batches` shuffles when it is given no generator.
    prompt_length: L; more where the data set's longest prompt needs more. None for just that. tokenizer: by default the byte tokenizer.
    state_key, action_key: features to take, by default "observation.state" or "state", "action" or "actions".

    Raises ValueError for arguments out of range (an unknown camera or split, no episode in the split, ...), for unreadable files and
    for tables that contradict the metadata; FileNotFoundError for missing files; ConnectionError where a download fails.
    Warns of dimensions that never change in the training episodes: they are shifted to 0 and left unscaled; and of videos with more
    frames than the table has rows: those after the last row are left out.
    """
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 action, not {horizon}")
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, not {image_size}")
    if split not in SPLITS:
        raise ValueError(f"split is one of {SPLITS}, not {split!r}")
    if test_every is not None and test_every < 1:
        raise ValueError(
            f"test_every must be at least 1 (or None to hold nothing out), not {test_every}"
        )
    if isinstance(cameras, str):
        raise ValueError(f"cameras is a list of names, not the text {cameras!r}")
    recording = lerobot.read(sources.locate(source, cameras), state_key, action_key)
    chosen = (
        recording.cameras if cameras is None else [_camera(name, recording) for name in cameras]
    )

    held_out = np.array(
        [test_every is not None and i % test_every == 0 for i in range(len(recording.episodes))]
    )
    episodes = {"train": ~held_out, "test": held_out, "all": held_out | True}
    for part in dict.fromkeys(
        [split, "train"]
    ):  # the training episodes are always needed, for the statistics
        if not episodes[part].any():
            raise ValueError(
                f"{source}: no {part} episode, with test_every={test_every} and {len(held_out)} episodes in all; "
                "choose another test_every (None holds nothing out)"
            )
    in_training = np.repeat(episodes["train"], [episode.length for episode in recording.episodes])
    stats = {}
    for name, values, names in (
        ("state", recording.state, recording.state_names),
        ("action", recording.actions, recording.action_names),
    ):
        stats[f"{name}_mean"], stats[f"{name}_std"] = _mean_std(
            values[in_training], names, f"{source}: {name}"
        )

    shortest = prompt.tokenize(recording.task_texts, None, tokenizer)[0].shape[1]
    tokens = prompt.tokenize(recording.task_texts, max(shortest, prompt_length or 0), tokenizer)
    pictures = [frames.load(recording, camera, image_size) for camera in chosen]
    return ActionChunks(
        recording,
        np.flatnonzero(episodes[split]),
        horizon,
        chosen,
        image_size,
        pictures,
        stats,
        tokens,
        seed,
    )


class ActionChunks:
    """Items of the chosen episodes, frame by frame. Made by `load`.

    stats: {"state_mean", "state_std" (S,), "action_mean", "action_std" (D,)} float32, of the training episodes whatever the split.
    episodes: the chosen episodes' indices. episode_index, frame_index: (N,) int64, where each item comes from.
    state (N, S) and actions (N, D): float32, as recorded, not normalised. tasks: the text of each item.
    cameras, fps, state_names, action_names: as in the data set; horizon and image_size: as asked for.
    """

    def __init__(
        self,
        recording,
        chosen: np.ndarray,
        horizon,
        cameras,
        image_size,
        pictures,
        stats,
        tokens,
        seed,
    ):
        episodes = [recording.episodes[i] for i in chosen]
        self.rows = np.concatenate(
            [np.arange(e.start, e.start + e.length) for e in episodes]
        )  # (N,) rows of the recording's arrays
        self.left = torch.cat(
            [torch.arange(e.length, 0, -1) for e in episodes]
        )  # (N,) frames to the episode's end, this one included
        self.episodes = [e.index for e in episodes]
        self.episode_index = torch.cat([torch.full((e.length,), e.index) for e in episodes])
        self.frame_index = torch.cat([torch.arange(e.length) for e in episodes])
        self.horizon, self.cameras, self.image_size, self.fps = (
            horizon,
            cameras,
            image_size,
            recording.fps,
        )
        self.state_names, self.action_names, self.stats = (
            recording.state_names,
            recording.action_names,
            stats,
        )
        self.state, self.actions = (
            torch.from_numpy(recording.state[self.rows]),
            torch.from_numpy(recording.actions[self.rows]),
        )
        self.task_index, self.task_texts = (
            torch.from_numpy(recording.task[self.rows]),
            recording.task_texts,
        )
        self.tokens, self.token_mask = tokens  # (tasks, L)
        self.pictures = (
            pictures  # per camera (F, 3, image_size, image_size) uint8, of the whole recording
        )
        self.normal_state, self.normal_actions = (
            self.normalise_state(self.state),
            self.normalise(self.actions),
        )
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[Observation, Tensor, Tensor]:
        """Item i, as in `batch` but without the first axis. Raises IndexError beyond the end."""
        observation, actions, action_mask = self.batch([i])
        return observation[0], actions[0], action_mask[0]

    def batch(self, indices) -> tuple[Observation, Tensor, Tensor]:
        """The items `indices` (B integers): Observation, actions (B, H, D) float32, action_mask (B, H) bool.

        Observation: images (B, C, 3, image_size, image_size) float32 in [-1, 1], black being -1; image_mask (B, C) all True; tokens and
        token_mask (B, L); state (B, S). State and actions are normalised to mean 0 and standard deviation 1 over the training episodes.
        Actions of item i are those of its frame and the H - 1 after it. Beyond the episode's end the last action is repeated and the mask
        is False. Raises IndexError for an index out of range and for what is no integer (a mask: give mask.nonzero().flatten()).
        """
        i = torch.as_tensor(indices)
        if i.ndim != 1 or len(i) and (i.dtype == torch.bool or i.is_floating_point()):
            raise IndexError(
                f"items are named by a list of integers, not by {i.dtype} of shape {tuple(i.shape)}"
            )
        i = i.long()
        if len(i) and not -len(self) <= i.min() <= i.max() < len(self):
            raise IndexError(
                f"items are numbered 0 … {len(self) - 1}, asked for {i.min()} … {i.max()}"
            )
        i = i % len(self)  # -1 is the last
        ahead, left = torch.arange(self.horizon), self.left[i, None]
        actions = self.normal_actions[i[:, None] + ahead.minimum(left - 1)]  # (B, H, D)

        images = torch.empty(len(i), len(self.cameras), 3, self.image_size, self.image_size)
        rows = self.rows[i.numpy()]
        for camera, pictures in enumerate(self.pictures):
            images[:, camera] = torch.from_numpy(pictures[rows])
        images.div_(127.5).sub_(1)
        task = self.task_index[i]
        image_mask = torch.ones(len(i), len(self.cameras), dtype=torch.bool)
        observation = Observation(
            images, image_mask, self.tokens[task], self.token_mask[task], self.normal_state[i]
        )
        return observation, actions, ahead < left

    def batches(
        self, n: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Observation, Tensor, Tensor]]:
        """One epoch: every item once, shuffled, in batches of n; the last one is smaller where n does not divide the number of items.

        generator: of the shuffling, a CPU one; without it the data set's own goes on, so that each epoch has another order.
        Raises ValueError for n < 1. (A loop that wants its own order, or to know the items, draws indices and calls `batch`.)
        """
        if n < 1:
            raise ValueError(f"a batch has at least 1 item, not {n}")
        order = torch.randperm(len(self), generator=generator or self.generator)
        return (self.batch(indices) for indices in order.split(n))

    @property
    def tasks(self) -> list[str]:
        return [self.task_texts[k] for k in self.task_index]

    def normalise(self, actions: Tensor) -> Tensor:
        """(actions - mean) / std. actions: (..., D), as recorded."""
        return (actions - self.stats["action_mean"].to(actions)) / self.stats["action_std"].to(
            actions
        )

    def denormalise(self, actions: Tensor) -> Tensor:
        """Back to the units of the recording: what a robot would be sent. actions: (..., D), normalised."""
        return actions * self.stats["action_std"].to(actions) + self.stats["action_mean"].to(
            actions
        )

    def normalise_state(self, state: Tensor) -> Tensor:
        """(state - mean) / std. state: (..., S), as recorded."""
        return (state - self.stats["state_mean"].to(state)) / self.stats["state_std"].to(state)


def _camera(name: str, recording: lerobot.Recording) -> str:
    """The feature key of a camera, given in full or by its last part."""
    matches = [key for key in recording.cameras if name in (key, key.rsplit(".", 1)[-1])]
    if len(matches) != 1:
        problem = "is unknown" if not matches else f"could be any of {matches}"
        raise ValueError(
            f"camera {name!r} {problem}; {recording.folder} has {', '.join(recording.cameras) or 'none'}"
        )
    return matches[0]


def _mean_std(values: np.ndarray, names: list[str], what: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per dimension of (F, D), float32; 1 in place of a deviation that is only float32's rounding."""
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    constant = std <= np.finfo(np.float32).eps * np.abs(values).max(axis=0)
    if constant.any():
        which = ", ".join(
            name for name, is_constant in zip(names, constant, strict=True) if is_constant
        )
        warnings.warn(
            f"{what} never changes in the training episodes, so it is shifted to 0 and left unscaled: {which}",
            stacklevel=3,
        )
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(
        np.where(constant, 1.0, std), dtype=torch.float32
    )
