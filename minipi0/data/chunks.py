"""Robot demonstrations as a model trains on them: what the robot saw, and the chunk that followed.

`load` joins four steps: where the data set is (`sources`), its tables (`lerobot`), its frames
(`frames`), and the items, here. An item is a frame of an episode.
Axes: N items, B batch, C cameras, H action horizon, D action dims, S state dims, L tokens.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minipi0 import prompt
from minipi0.data import cameras as seen
from minipi0.data import frames, lerobot, sources
from minipi0.data.mixture import Mixture
from minipi0.data.splits import held_out, own_splits
from minipi0.normalise import Normaliser, check_mode, far
from minipi0.observation import Observation

SPLITS = ("train", "test", "all")


def load(
    source: str | Path | list[str | Path],
    horizon: int,
    cameras: list | None = None,
    image_size: int = 64,
    split: str = "train",
    test_every: int | None = 5,
    seed: int = 0,
    *,
    normalise: str = "z-score",
    prompt_length: int | None = prompt.LENGTH,
    tokenizer=None,
    state_key: str | list[str] | None = None,
    action_key: str | list[str] | None = None,
    episodes: list[int] | None = None,
    without: list[int] | None = None,
    test_seed: int | str | None = None,
    revision: str | None = None,
    state_dim: int | None = None,
    action_dim: int | None = None,
    weights: list[float] | None = None,
) -> "ActionChunks | Mixture":
    """Load a LeRobot data set (v2.0, v2.1 or v3.0), normalised and cut into action chunks.

    source: a name of `sources.NAMES` ("cr5-banana", "metaworld-two-ways"), a folder, or a Hugging
        Face repo id ("owner/name"). "cr5-banana" is $MINIPI0_DATA/cr5_banana if that is there;
        otherwise it is fetched once from its pinned source. A list of these is a mixture.
    horizon: H, actions in a chunk.
    cameras: the features to see, in this order ("observation.images.top", or "top" where that is
        clear). None takes all of them but depth maps and those without any file, [] none, and then
        no video is needed. None in the list is an empty slot: black, and masked.
    image_size: frames are shrunk to fit into this square whole, with black around them.
    split: "test" is one episode of every `test_every` in a row, "train" the others, "all" both.
        test_every=None holds no episode out.
    seed: of the order in which `batches` shuffles when it is given no generator.
    normalise: "z-score", "quantile" or "min-max", measured on the training episodes.
    prompt_length: L; more where the longest prompt needs more. None takes just that.
    tokenizer: by default the byte tokenizer.
    state_key, action_key: the features to take, by default "observation.state" or "state", and
        "action" or "actions". A list of features is one long vector.
    episodes, without: the episodes to take, by default all, and those to leave out. Files of other
        episodes need not be there.
    test_seed: of the draw which episode of every `test_every` is held out, or "first", see
        `splits.held_out`. By default 0; "first" for the named sets, whose results are published.
    revision: a branch, tag or commit of a Hugging Face repository.
    state_dim, action_dim: a larger model's. Normalised states and actions are padded with zeros,
        and the action mask is then bool[B, H, D], False for padded dims.
    weights: of the data sets of a mixture, see `Mixture`.
    For a mixture, a list of lists gives each data set its own cameras, episodes or keys.

    Raises ValueError for arguments out of range (an unknown camera or split, no episode in the
    split, …), for unreadable files and for tables that contradict the metadata; FileNotFoundError
    for missing files; ConnectionError where a download fails.
    Warns of cameras that are left out; of splits of the data set's own; of dims that never or
    hardly ever change, see `Normaliser`; of dims that lie far out (not for the named sets, of which
    notebook 09 tells it); and of metadata that tables or videos do not agree with.
    """
    given = dict(locals())
    several = isinstance(given.pop("source"), list | tuple)
    every = list(source) if several else [source]
    if given.pop("weights") is not None and not several:
        raise ValueError("weights are for a list of data sets")
    if not every:
        raise ValueError("the list of data sets is empty: name one")
    if several:
        for what in ("cameras", "episodes", "without", "state_key", "action_key"):
            given[what] = _each(given[what], len(every), what)
    parts = []
    for i, one in enumerate(every):
        own = {name: v[i] if isinstance(v, _Each) else v for name, v in given.items()}
        parts.append(_undecoded(one, **own))
    found = Mixture(parts, weights) if several else parts[0]
    decoded = iter(frames.decode([film for part in parts for film in part.pictures if film]))
    for part in parts:  # what takes minutes comes last
        part.pictures = [film and next(decoded) for film in part.pictures]
    return found


def _undecoded(
    source,
    *,
    horizon: int,
    cameras,
    image_size: int,
    split: str,
    test_every: int | None,
    seed: int,
    normalise: str,
    prompt_length: int | None,
    tokenizer,
    state_key,
    action_key,
    episodes,
    without,
    test_seed,
    revision: str | None,
    state_dim: int | None,
    action_dim: int | None,
) -> "ActionChunks":
    """A single data set as `load` reads it, but with films in place of the pictures."""
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 action, not {horizon}")
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, not {image_size}")
    if split not in SPLITS:
        raise ValueError(f"split is one of {SPLITS}, not {split!r}")
    if test_every is not None and test_every < 1:
        raise ValueError(f"test_every must be at least 1 or None, not {test_every}")
    if isinstance(cameras, str):
        raise ValueError(f"cameras is a list of names, not the text {cameras!r}")
    check_mode(normalise)
    named = None if cameras is None else [name for name in cameras if name is not None]
    folder = sources.locate(source, named, revision)
    recording = lerobot.read(folder, state_key, action_key, episodes, without)
    _tell_splits(recording)
    cameras = seen.choose(recording, cameras)
    for what, wanted, values in (
        ("state", state_dim, recording.state),
        ("action", action_dim, recording.actions),
    ):
        if wanted is not None and wanted < values.shape[1]:
            raise ValueError(
                f"{source}: the {what} has {values.shape[1]} dims, which do not fit into "
                f"{what}_dim={wanted}"
            )

    count, published = len(recording.episodes), str(source) in sources.NAMES
    if test_seed is None:
        test_seed = "first" if published else 0
    tested = held_out(count, test_every, test_seed)
    of_split = {"train": ~tested, "test": tested, "all": tested | True}
    for part in dict.fromkeys([split, "train"]):  # the statistics always need training episodes
        if not of_split[part].any():
            raise ValueError(
                f"{source}: no {part} episode, with test_every={test_every} and {count} episodes "
                "in all; choose another test_every (None holds nothing out)"
            )
    trained = np.repeat(of_split["train"], [episode.length for episode in recording.episodes])
    normaliser = {}
    for name, values, names in (
        ("state", recording.state, recording.state_names),
        ("action", recording.actions, recording.action_names),
    ):
        what = f"{source}: {name}"
        normaliser[name] = Normaliser.fit(values[trained], normalise, what, names)
        if not published:
            _tell_far(far(normaliser[name], values), recording, what, values, names)

    shortest = prompt.tokenize(recording.task_texts, None, tokenizer)[0].shape[1]
    tokens = prompt.tokenize(recording.task_texts, max(shortest, prompt_length or 0), tokenizer)
    films = [name and frames.find(recording, name, image_size) for name in cameras]
    chosen = np.flatnonzero(of_split[split])
    found = ActionChunks(recording, chosen, horizon, image_size, films, normaliser, tokens, seed)
    found.tokenizer, found.state_dim, found.action_dim = tokenizer, state_dim, action_dim
    folder = Path(source).expanduser()
    found.name = folder.name if folder.is_dir() else str(source)
    return found


class ActionChunks:
    """Items of the chosen episodes, frame by frame. Made by `load`.

    normaliser: {"state": Normaliser, "action": Normaliser}, of the training episodes.
    stats: the same as one flat dict of vectors, state_mean, …: what a checkpoint keeps.
    episodes: the chosen episodes' indices.
    episode_index, frame_index: int64[N], where each item comes from.
    state: float32[N, S]; actions: float32[N, D]: as recorded, not normalised.
    tasks: the text of each item.
    cameras, fps, state_names, action_names: as in the data set.
    horizon, image_size, tokenizer, state_dim, action_dim: as asked for. name: of the source.
    """

    tokenizer = state_dim = action_dim = name = None

    def __init__(
        self, recording, chosen: np.ndarray, horizon, image_size, films, normaliser, tokens, seed
    ):
        episodes = [recording.episodes[i] for i in chosen]
        rows = [np.arange(e.start, e.start + e.length) for e in episodes]
        self.rows = np.concatenate(rows)  # (N,), into the recording's arrays
        # frames to the episode's end, this one included
        self.left = torch.cat([torch.arange(e.length, 0, -1) for e in episodes])
        self.episodes = [e.index for e in episodes]
        self.episode_index = torch.cat([torch.full((e.length,), e.index) for e in episodes])
        self.frame_index = torch.cat([torch.arange(e.length) for e in episodes])
        self.horizon, self.image_size, self.fps = horizon, image_size, recording.fps
        self.state_names, self.action_names = recording.state_names, recording.action_names
        self.state = torch.from_numpy(recording.state[self.rows])
        self.actions = torch.from_numpy(recording.actions[self.rows])
        self.task_index = torch.from_numpy(recording.task[self.rows])
        self.task_texts = recording.task_texts
        self.tokens, self.token_mask = tokens  # (tasks, L)
        self.cameras = [film and film.camera for film in films]
        # of the whole recording: films, which `load` replaces by (F, 3, image_size, image_size)
        # uint8; None: an empty slot
        self.pictures = films
        self.normaliser = normaliser
        self.normal_state = normaliser["state"].to_model(self.state)
        self.normal_actions = normaliser["action"].to_model(self.actions)
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def stats(self) -> dict[str, Tensor]:
        return {k: v for what, one in self.normaliser.items() for k, v in one.stats(what).items()}

    def about(self) -> dict:
        """What a checkpoint should keep to be used on a robot, as plain values."""
        own = self.tokenizer is None
        return {
            "cameras": self.cameras,
            "state_names": self.state_names,
            "action_names": self.action_names,
            "fps": self.fps,
            "horizon": self.horizon,
            "tokenizer": "bytes" if own else self.tokenizer.name_or_path,
            "prompt_length": self.tokens.shape[1],
            "normalise": self.normaliser["action"].mode,
        }

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[Observation, Tensor, Tensor]:
        """Item i, as in `batch` but without the first axis. Raises IndexError beyond the end."""
        observation, actions, action_mask = self.batch([i])
        return observation[0], actions[0], action_mask[0]

    def batch(self, indices) -> tuple[Observation, Tensor, Tensor]:
        """The items `indices` as one batch, normalised.

        indices: B integers.
        Returns an Observation (images in [-1, 1], black being -1; image_mask True but for empty
        slots), actions float32[B, H, D] and action_mask bool[B, H], or bool[B, H, D] with padded
        dims. The actions of item i are those of its frame and the H - 1 after it. Beyond the
        episode's end the last action is repeated and the mask is False.
        Raises IndexError for an index out of range and for what is no integer (of a mask, give
        mask.nonzero().flatten()).
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

        images = torch.zeros(len(i), len(self.cameras), 3, self.image_size, self.image_size)
        image_mask = torch.ones(len(i), len(self.cameras), dtype=torch.bool)
        rows = self.rows[i.numpy()]
        for camera, pictures in enumerate(self.pictures):
            if pictures is None:
                image_mask[:, camera] = False
            else:
                images[:, camera] = torch.from_numpy(pictures[rows])
        images.div_(127.5).sub_(1)
        task, mask = self.task_index[i], ahead < left
        state, _ = _padded(self.normal_state[i], self.state_dim)
        actions, real = _padded(actions, self.action_dim)
        if self.action_dim is not None:
            mask = mask[..., None] & real
        observation = Observation(
            images, image_mask, self.tokens[task], self.token_mask[task], state
        )
        return observation, actions, mask

    def batches(
        self, n: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Observation, Tensor, Tensor]]:
        """One epoch: every item once, shuffled, in batches of n; the last batch may be smaller.

        generator: of the shuffling, on the CPU; without it the data set's own goes on, so that each
            epoch has another order.
        Raises ValueError for n < 1. (A loop that needs to know the items calls `batch`.)
        """
        if n < 1:
            raise ValueError(f"a batch has at least 1 item, not {n}")
        order = torch.randperm(len(self), generator=generator or self.generator)
        return (self.batch(indices) for indices in order.split(n))

    @property
    def tasks(self) -> list[str]:
        return [self.task_texts[k] for k in self.task_index]


def _padded(x: Tensor, dims: int | None) -> tuple[Tensor, Tensor]:
    """x float[..., D] with zeros up to `dims`, and which dims are real, bool[dims]."""
    own = x.shape[-1]
    padded = torch.nn.functional.pad(x, (0, (dims or own) - own))
    return padded, torch.arange(padded.shape[-1]) < own


def _tell_far(found: list, recording: lerobot.Recording, what: str, values, names) -> None:
    """Warn of dims that lie far out, with the frame that lies farthest."""
    told, starts = [], [episode.start for episode in recording.episodes]
    for dim, row, z in found:
        k = int(np.searchsorted(starts, row, side="right")) - 1
        where = f"episode {recording.episodes[k].index}, frame {row - starts[k]}"
        told.append(f"{names[dim]} is {values[row, dim]:.4g} in {where} (|z| = {z:.0f})")
    if told:
        warnings.warn(
            f"{what} lies far from its middle, which squeezes all else: {'; '.join(told)}. Look "
            "there; leave such episodes out with without=, or give normalise='quantile'",
            stacklevel=4,
        )


def _tell_splits(recording: lerobot.Recording) -> None:
    """Warn of a data set that says itself which episodes are for what."""
    if told := own_splits(recording.info):
        warnings.warn(
            f"{recording.folder}: meta/info.json splits the episodes ({told}), and minipi0 draws "
            "its own test episodes; name those to train on with episodes=, or those to keep for "
            "later with without=",
            stacklevel=4,
        )


class _Each(list):
    """A value for each data set of a mixture."""


def _each(value, count: int, what: str) -> "_Each":
    """An argument of every data set of a mixture: its own of a list of lists, or the same."""
    if not isinstance(value, list) or not any(isinstance(one, list) for one in value):
        return _Each([value] * count)
    if len(value) != count:
        raise ValueError(f"{count} data sets, and {what} for {len(value)}: give a list for each")
    return _Each(value)
