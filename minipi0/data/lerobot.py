"""LeRobot data sets as arrays: what is in the folder, whatever the version.

`frames.py` reads the pixels, `chunks.py` cuts what is read here into chunks for training.

    meta/info.json       version, fps, features, templates of the file names
    v2.0, v2.1
      meta/episodes.jsonl                           a row per episode
      meta/tasks.jsonl                              task_index and its text
      data/chunk-000/episode_000007.parquet         states and actions, a row per frame
      videos/chunk-000/CAMERA/episode_000007.mp4
    v3.0: many episodes in one file
      meta/episodes/chunk-000/file-000.parquet      a row per episode, and where it lies
      meta/tasks.parquet
      data/chunk-000/file-000.parquet
      videos/CAMERA/chunk-000/file-000.mp4

v2.0 and v2.1 differ only in how they store statistics, and minipi0 computes its own.
Axes: F frames of the whole data set, S state dims, D action dims.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

VERSIONS = ("v2.0", "v2.1", "v3.0")
STATE_KEYS = ("observation.state", "state")
ACTION_KEYS = ("action", "actions")
PLACE = ("chunk_index", "file_index")  # what names a file in v3.0


@dataclass(frozen=True)
class Span:
    """Where an episode lies in a file: `length` frames or table rows from number `first` on.

    first: counted from 0.
    begins: when frame `first` of a video is shown, in seconds.
    """

    file: Path
    first: int
    length: int
    begins: float = 0.0


@dataclass(frozen=True)
class Episode:
    index: int
    start: int  # its first row in the Recording's arrays
    rows: Span  # in a parquet file
    videos: dict[str, Span]  # per camera that is stored as video

    @property
    def length(self) -> int:
        return self.rows.length


@dataclass(frozen=True)
class Recording:
    """A whole data set but for its pixels. The episodes are in the order of their index."""

    folder: Path
    version: str
    fps: float
    cameras: list[str]  # feature keys, as videos or as images in the tables
    episodes: list[Episode]
    state: np.ndarray  # (F, S) float32
    actions: np.ndarray  # (F, D) float32
    task: np.ndarray  # (F,) int64, into task_texts
    task_texts: list[str]
    state_names: list[str]
    action_names: list[str]


@dataclass(frozen=True)
class _Place:
    """An episode as the metadata describe it, before its table is read."""

    index: int
    file: Path  # its parquet file
    length: int
    videos: dict[str, Span]


def read(folder: Path, state_key: str | None = None, action_key: str | None = None) -> Recording:
    """Read the metadata and tables of the data set in `folder`; decode no video and no image.

    state_key, action_key: the features to take, by default the first present of STATE_KEYS and of
        ACTION_KEYS.

    Raises FileNotFoundError for a missing file. Raises ValueError for an unreadable or truncated
    file, an unknown version, tables that contradict the metadata (episodes, lengths, shapes), and
    NaN or infinite states or actions (with episode and frame).
    """
    folder = Path(folder).expanduser()
    info_file = folder / "meta" / "info.json"
    if not info_file.exists():
        raise FileNotFoundError(f"{folder} is no LeRobot data set: it has no meta/info.json")
    with _errors_name(info_file):
        info = json.loads(info_file.read_text())
        version, features, fps = info["codebase_version"], info["features"], float(info["fps"])
        kinds = {key: feature["dtype"] for key, feature in features.items()}
    if version not in VERSIONS:
        raise ValueError(
            f"{info_file}: version {version!r} is unknown; v2.0, v2.1 and v3.0 can be read "
            "(LeRobot's scripts convert others)"
        )
    if not 0 < fps < np.inf:
        raise ValueError(
            f"{info_file}: fps is {fps}: write the rate there at which the frames were recorded"
        )
    state_key = _feature(features, state_key, STATE_KEYS, info_file)
    action_key = _feature(features, action_key, ACTION_KEYS, info_file)
    videos = [key for key, kind in kinds.items() if kind == "video"]
    find = _places_v3 if version == "v3.0" else _places_v2
    places = sorted(find(folder, info, info_file, videos), key=lambda place: place.index)
    _check_places(places, info, folder)
    task_texts = _tasks(folder, version)

    columns = [state_key, action_key, "episode_index", "frame_index", "task_index"]
    parts, episodes, start, opened = [], [], 0, None
    for place in places:
        if place.file != opened:  # the episodes come in the order of the files
            opened, table = place.file, _table(place.file, columns)
            episode_of = _integers(table, "episode_index", opened)
        first, rows = _rows(table, episode_of, place)
        task = _integers(rows, "task_index", opened)
        unknown = set(task.tolist()) - set(task_texts)
        if unknown:
            raise ValueError(
                f"{opened}: task_index {min(unknown)} in episode {place.index}, "
                f"but {folder / 'meta'} lists only {sorted(task_texts)}"
            )
        vectors = [_vectors(rows, key, features, place) for key in (state_key, action_key)]
        parts.append((*vectors, task))
        span = Span(opened, first, place.length)
        episodes.append(Episode(place.index, start, span, place.videos))
        start += place.length

    state, actions, task = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    numbers = sorted(task_texts)  # the files' numbers may have gaps
    return Recording(
        folder=folder,
        version=version,
        fps=fps,
        cameras=[key for key, kind in kinds.items() if kind in ("video", "image")],
        episodes=episodes,
        state=state,
        actions=actions,
        task=np.searchsorted(numbers, task),
        task_texts=[task_texts[number] for number in numbers],
        state_names=flat_names(features[state_key].get("names"), state.shape[1], state_key),
        action_names=flat_names(features[action_key].get("names"), actions.shape[1], action_key),
    )


def flat_names(names, width: int, key: str) -> list[str]:
    """A feature's `names` as a list of `width` strings.

    names: real files hold a list, nested lists, {"motors": [...]}, {"x": 0, "y": 1} or null.
    Returns KEY[0], KEY[1], … where the names do not come out as one per dimension.
    """

    def flatten(node):
        if isinstance(node, dict):
            positions = list(node.values())
            numbered = positions and all(isinstance(position, int) for position in positions)
            return sorted(node, key=node.get) if numbered else flatten(positions)
        if isinstance(node, list):
            return [name for part in node for name in flatten(part)]
        return [] if node is None else [str(node)]

    flat = flatten(names)
    return flat if len(flat) == width else [f"{key}[{i}]" for i in range(width)]


def _places_v2(folder: Path, info: dict, info_file: Path, cameras: list[str]) -> Iterator[_Place]:
    """A file per episode, so every span starts at 0.

    Videos are indexed by frame. Their timestamps are those of the recording, drift against the
    nominal rate, and are not used.
    """
    file = folder / "meta" / "episodes.jsonl"
    for row in _json_lines(file):
        with _errors_name(file):
            index, length = int(row["episode_index"]), int(row["length"])
        with _errors_name(info_file):
            chunk = index // info.get("chunks_size", 1000)
            words = {"episode_index": index, "episode_chunk": chunk}
            videos = {}
            for camera in cameras:
                video = folder / info["video_path"].format(video_key=camera, **words)
                videos[camera] = Span(video, 0, length)
            table = folder / info["data_path"].format(**words)
        yield _Place(index, table, length, videos)


def _places_v3(folder: Path, info: dict, info_file: Path, cameras: list[str]) -> Iterator[_Place]:
    """Many episodes in a file: the one that begins at `from_timestamp` (s) has first frame s * fps.

    `frames` compares that with the times that the video itself tells.
    """
    files = sorted((folder / "meta" / "episodes").glob("**/*.parquet"))
    if not files:
        raise FileNotFoundError(
            f"{folder}: no parquet file in meta/episodes, which a v3.0 data set must have"
        )
    for file in files:
        for row in _table(file, lambda name: not name.startswith("stats/")).to_pylist():
            with _errors_name(file):
                index, length = int(row["episode_index"]), int(row["length"])
                words = {key: row[f"data/{key}"] for key in PLACE}
                begins, words_of = {}, {}
                for camera in cameras:
                    begins[camera] = float(row[f"videos/{camera}/from_timestamp"])
                    words_of[camera] = {key: row[f"videos/{camera}/{key}"] for key in PLACE}
                first = {camera: round(begins[camera] * float(info["fps"])) for camera in cameras}
            if any(frame < 0 for frame in first.values()):
                raise ValueError(
                    f"{file}: a from_timestamp of episode {index} is negative: {begins}"
                )
            with _errors_name(info_file):
                videos = {}
                for camera in cameras:
                    name = info["video_path"].format(video_key=camera, **words_of[camera])
                    videos[camera] = Span(folder / name, first[camera], length, begins[camera])
                table = folder / info["data_path"].format(**words)
            yield _Place(index, table, length, videos)


def _check_places(places: list[_Place], info: dict, folder: Path) -> None:
    """Raise ValueError unless each episode is listed once, and as many as info.json counts."""
    total = info.get("total_episodes", len(places))
    if len(places) != total:
        raise ValueError(
            f"{folder / 'meta' / 'info.json'} counts {total} episodes, "
            f"the list of episodes has {len(places)}: incomplete?"
        )
    if not places:
        raise ValueError(f"{folder}: the data set lists no episode")
    for one, other in zip(places, places[1:], strict=False):
        if one.index == other.index:
            raise ValueError(
                f"{folder}: the list of episodes in meta/ has episode {one.index} more than once: "
                "keep one of the entries"
            )


def _rows(table: pa.Table, episode_of: np.ndarray, place: _Place) -> tuple[int, pa.Table]:
    """The episode's first row in its file, and its rows, which must be complete and in order."""
    mine, length = np.flatnonzero(episode_of == place.index), place.length
    if not 0 < length == len(mine) == mine[-1] - mine[0] + 1:
        found = f"{len(mine)}{' or others between them' if len(mine) == length else ''}"
        raise ValueError(
            f"{place.file}: expected {length} rows of episode {place.index} "
            f"as the metadata say, found {found}"
        )
    rows = table.slice(mine[0], length)
    if not np.array_equal(_integers(rows, "frame_index", place.file), np.arange(length)):
        raise ValueError(
            f"{place.file}: the frames of episode {place.index} are not numbered "
            f"0 … {length - 1} in that order (frame_index)"
        )
    return int(mine[0]), rows


def _vectors(rows: pa.Table, key: str, features: dict, place: _Place) -> np.ndarray:
    """The states or actions of an episode, (rows, width) float32, all of them finite."""
    values = _matrix(rows[key], features[key].get("shape"), f"{place.file}: {key!r}")
    if not np.isfinite(values).all():
        frame, dim = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"{place.file}: {key!r} is {values[frame, dim]} as float32 in episode {place.index}, "
            f"frame {frame}, dimension {dim}: repair or remove that episode"
        )
    return values


def _tasks(folder: Path, version: str) -> dict[int, str]:
    if version != "v3.0":
        file = folder / "meta" / "tasks.jsonl"
        with _errors_name(file):
            texts = {row["task_index"]: row["task"] for row in _json_lines(file)}
    else:
        file = folder / "meta" / "tasks.parquet"
        table = _table(file)
        # the text is the index of a pandas table, and pandas may have called it anything
        index = (table.schema.pandas_metadata or {}).get("index_columns", [])
        usual = ("task", "__index_level_0__", *index)
        text = next((name for name in usual if name in table.column_names), None)
        if text is None or "task_index" not in table.column_names:
            raise ValueError(
                f"{file}: expected task_index and the text as 'task' or as the index, "
                f"found {table.column_names}"
            )
        texts = dict(zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True))
    for number, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(
                f"{file}: the text of task {number} is {text!r}: "
                "write the instruction there, or an empty text"
            )
    return texts


def _table(file: Path, columns=None) -> pa.Table:
    """Read a parquet file.

    columns: a list of names, a function that picks names, or None for all.
    """
    with _errors_name(file), pq.ParquetFile(file) as parquet:
        present = parquet.schema_arrow.names
        if callable(columns):
            columns = [name for name in present if columns(name)]
        missing = [name for name in columns or [] if name not in present]
        if missing:
            raise KeyError(f"column {missing[0]!r} (it has {', '.join(present)})")
        return parquet.read(columns)


def _integers(table: pa.Table, name: str, file: Path) -> np.ndarray:
    """(rows,) int64"""
    if table[name].null_count:
        raise ValueError(f"{file}: {name!r} has empty cells")
    return _matrix(table[name], [1], f"{file}: {name!r}", np.int64)[:, 0]


def _matrix(
    column: pa.ChunkedArray, shape: list[int] | None, where: str, dtype=np.float32
) -> np.ndarray:
    """A column of numbers, or of lists of them nested to any depth, as (rows, values per row)."""
    values, found, types = column.combine_chunks(), [], pa.types
    if isinstance(values, pa.ExtensionArray):  # a tensor type: lists underneath
        values = values.storage
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    while any(is_list(values.type) for is_list in lists):
        lengths = pc.unique(pc.list_value_length(values)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise ValueError(
                f"{where} has rows of different or missing lengths {sorted(lengths, key=str)}, "
                f"info.json declares {shape}"
            )
        found.append(lengths[0])
        values = values.flatten()
    numbers = (types.is_floating, types.is_integer, types.is_boolean)
    if not any(is_number(values.type) for is_number in numbers):
        raise ValueError(f"{where} holds {values.type}, not numbers")
    width = int(np.prod(found))
    if shape is not None and width != int(np.prod(shape)):
        raise ValueError(
            f"{where} has shape {found or [1]} in the table, but info.json declares {list(shape)}"
        )
    with np.errstate(all="ignore"):  # too large for float32: infinite, and refused as such
        return values.to_numpy(zero_copy_only=False).astype(dtype).reshape(len(column), width)


def _feature(features: dict, wanted: str | None, usual: tuple[str, ...], file: Path) -> str:
    for key in [wanted] if wanted else usual:
        if key in features:
            return key
    kind = "state" if usual is STATE_KEYS else "action"
    raise ValueError(
        f"{file}: no feature {wanted or ' or '.join(usual)}; "
        f"choose one with {kind}_key=: {', '.join(features)}"
    )


def _json_lines(file: Path) -> list[dict]:
    with _errors_name(file):
        return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]


@contextmanager
def _errors_name(file: Path):
    """Whatever goes wrong inside says which file it was and what to do."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{file} is missing: fetch the data set again, or restore the file"
        ) from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file}: not what a LeRobot data set holds there: {type(error).__name__} {error}"
        ) from error
    except (ValueError, OSError) as error:  # JSON's and pyarrow's errors are ValueErrors
        raise ValueError(
            f"{file} cannot be read, perhaps it is truncated: fetch it again ({error})"
        ) from error
