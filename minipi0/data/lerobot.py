"""LeRobot data sets as arrays: what is in the folder, whatever the version. (Pixels: `frames.py`. Chunks for training: `data.py`.)

    v2.0, v2.1                                     v3.0
    meta/info.json                                 meta/info.json              version, fps, features, file name templates
    meta/episodes.jsonl                            meta/episodes/*/*.parquet   a row per episode; in v3.0 also where it lies
    meta/tasks.jsonl                               meta/tasks.parquet          task_index -> text
    data/chunk-000/episode_000007.parquet          data/chunk-000/file-000.parquet            states and actions, a row per frame
    videos/chunk-000/CAMERA/episode_000007.mp4     videos/CAMERA/chunk-000/file-000.mp4       v3.0: many episodes in one file

v2.0 and v2.1 differ only in how they store statistics, which are not read here: minipi0 computes its own.
Axes: F frames of the whole data set, S state dims, D action dims.
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

STATE_KEYS = ("observation.state", "state")
ACTION_KEYS = ("action", "actions")
PLACE = ("chunk_index", "file_index")  # what names a file in v3.0


@dataclass(frozen=True)
class Span:
    """Where an episode's frames lie: `length` frames (or table rows) of `file`, from number `first` on, counted from 0.

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
    """A whole data set but for its pixels. Episodes stand one after the other, in the order of their index."""

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


def read(folder: Path, state_key: str | None = None, action_key: str | None = None) -> Recording:
    """Read metadata and tables of the data set in `folder`; opens no video and decodes no image.

    state_key, action_key: features to take, by default the first present of STATE_KEYS and of ACTION_KEYS.
    Raises FileNotFoundError for a missing file and ValueError for an unreadable or truncated one, an unknown version, tables that
    contradict the metadata (episodes, lengths, shapes), and NaN or infinite states or actions (with episode and frame).
    """
    folder = Path(folder)
    info_file = folder / "meta" / "info.json"
    if not info_file.exists():
        raise FileNotFoundError(f"{folder} is no LeRobot data set: it has no meta/info.json")
    with _errors_name(info_file):
        info = json.loads(info_file.read_text())
        version, features, fps = info["codebase_version"], info["features"], float(info["fps"])
        kinds = {key: feature["dtype"] for key, feature in features.items()}
    if version not in ("v2.0", "v2.1", "v3.0"):
        raise ValueError(
            f"{info_file}: version {version!r} is unknown; v2.0, v2.1 and v3.0 can be read (LeRobot's scripts convert others)"
        )
    if not 0 < fps < np.inf:
        raise ValueError(
            f"{info_file}: fps is {fps}: write the rate there at which the frames were recorded"
        )
    state_key = _feature(features, state_key, STATE_KEYS, info_file)
    action_key = _feature(features, action_key, ACTION_KEYS, info_file)
    videos = [key for key, kind in kinds.items() if kind == "video"]
    spans = (_spans_v3 if version == "v3.0" else _spans_v2)(folder, info, info_file, videos)
    if len(spans) != info.get("total_episodes", len(spans)):
        raise ValueError(
            f"{info_file} counts {info['total_episodes']} episodes, the list of episodes has {len(spans)}: incomplete?"
        )
    if not spans:
        raise ValueError(f"{folder}: the data set lists no episode")
    indices = [index for index, *_ in spans]
    if len(set(indices)) < len(indices):
        twice = next(index for index in indices if indices.count(index) > 1)
        raise ValueError(
            f"{folder}: the list of episodes in meta/ has episode {twice} more than once: keep one of the entries"
        )
    task_texts = _tasks(folder, version)
    columns = [state_key, action_key, "episode_index", "frame_index", "task_index"]

    tables, parts, episodes, start = {}, [], [], 0
    for index, file, length, video_spans in spans:
        if file not in tables:
            table = _table(file, columns)
            tables = {
                file: (table, _integers(table, "episode_index", file))
            }  # only the last one: episodes come in the order of the files
        table, episode_of = tables[file]
        mine = np.flatnonzero(episode_of == index)
        if not 0 < length == len(mine) == mine[-1] - mine[0] + 1:
            found = f"{len(mine)}{' or others between them' if len(mine) == length else ''}"
            raise ValueError(
                f"{file}: expected {length} rows of episode {index} as the metadata say, found {found}"
            )
        table = table.slice(mine[0], length)
        if not np.array_equal(_integers(table, "frame_index", file), np.arange(length)):
            raise ValueError(
                f"{file}: the frames of episode {index} are not numbered 0 … {length - 1} in that order (frame_index)"
            )
        part = {}
        for name, key in (("state", state_key), ("actions", action_key)):
            part[name] = _matrix(table[key], features[key].get("shape"), f"{file}: {key!r}")
            if not np.isfinite(part[name]).all():
                frame, dim = np.argwhere(~np.isfinite(part[name]))[0]
                where = f"in episode {index}, frame {frame}, dimension {dim}"
                raise ValueError(
                    f"{file}: {key!r} is {part[name][frame, dim]} as float32 {where}: repair or remove that episode"
                )
        part["task"] = _integers(table, "task_index", file)
        unknown = set(part["task"].tolist()) - set(task_texts)
        if unknown:
            raise ValueError(
                f"{file}: task_index {min(unknown)} in episode {index}, but {folder / 'meta'} lists only {sorted(task_texts)}"
            )
        parts.append(part)
        episodes.append(Episode(index, start, Span(file, int(mine[0]), length), video_spans))
        start += length

    numbers = sorted(task_texts)  # the files' numbers may have gaps
    arrays = {
        name: np.concatenate([part[name] for part in parts])
        for name in ("state", "actions", "task")
    }
    return Recording(
        folder=folder,
        version=version,
        fps=fps,
        cameras=[key for key, kind in kinds.items() if kind in ("video", "image")],
        episodes=episodes,
        state=arrays["state"],
        actions=arrays["actions"],
        task=np.searchsorted(numbers, arrays["task"]),
        task_texts=[task_texts[number] for number in numbers],
        state_names=flat_names(
            features[state_key].get("names"), arrays["state"].shape[1], state_key
        ),
        action_names=flat_names(
            features[action_key].get("names"), arrays["actions"].shape[1], action_key
        ),
    )


def flat_names(names, width: int, key: str) -> list[str]:
    """A feature's `names` as `width` strings: real files hold a list, nested lists, {"motors": [...]}, {"x": 0, "y": 1} or null.

    Where they do not come out as one name per dimension: KEY[0], KEY[1], ...
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


def _spans_v2(
    folder: Path, info: dict, info_file: Path, cameras: list[str]
) -> list[tuple[int, Path, int, dict[str, Span]]]:
    """(episode index, parquet file, length, {camera: span}) per episode: a file each, so every span starts at 0.

    Videos are indexed by frame: timestamps are those of the recording, drift against the nominal rate, and are not used.
    """
    file = folder / "meta" / "episodes.jsonl"
    spans = []
    for row in _json_lines(file):
        with _errors_name(file):
            index, length = int(row["episode_index"]), int(row["length"])
        with _errors_name(info_file):
            place = {
                "episode_index": index,
                "episode_chunk": index // info.get("chunks_size", 1000),
            }
            videos = {
                camera: Span(
                    folder / info["video_path"].format(video_key=camera, **place), 0, length
                )
                for camera in cameras
            }
            spans.append((index, folder / info["data_path"].format(**place), length, videos))
    return sorted(spans, key=lambda span: span[0])


def _spans_v3(
    folder: Path, info: dict, info_file: Path, cameras: list[str]
) -> list[tuple[int, Path, int, dict[str, Span]]]:
    """The same for v3.0, where a file holds many episodes and `from_timestamp` (s) times fps is an episode's first frame in it.
    `frames` compares with the times that the video itself tells."""
    files = sorted((folder / "meta" / "episodes").glob("**/*.parquet"))
    if not files:
        raise FileNotFoundError(
            f"{folder}: no parquet file in meta/episodes, which a v3.0 data set must have"
        )
    spans = []
    for file in files:
        for row in _table(file, lambda name: not name.startswith("stats/")).to_pylist():
            with _errors_name(file):
                index, length = int(row["episode_index"]), int(row["length"])
                place = {key: row[f"data/{key}"] for key in PLACE}
                place_of = {
                    camera: {key: row[f"videos/{camera}/{key}"] for key in PLACE}
                    for camera in cameras
                }
                begins = {
                    camera: float(row[f"videos/{camera}/from_timestamp"]) for camera in cameras
                }
                first_of = {
                    camera: round(seconds * float(info["fps"]))
                    for camera, seconds in begins.items()
                }
            if any(first < 0 for first in first_of.values()):
                raise ValueError(
                    f"{file}: a from_timestamp of episode {index} is negative: {begins}"
                )
            with _errors_name(info_file):
                file_of = {
                    camera: folder / info["video_path"].format(video_key=camera, **place_of[camera])
                    for camera in cameras
                }
                videos = {
                    camera: Span(file_of[camera], first_of[camera], length, begins[camera])
                    for camera in cameras
                }
                spans.append((index, folder / info["data_path"].format(**place), length, videos))
    return sorted(spans, key=lambda span: span[0])


def _tasks(folder: Path, version: str) -> dict[int, str]:
    if version != "v3.0":
        file = folder / "meta" / "tasks.jsonl"
        with _errors_name(file):
            texts = {row["task_index"]: row["task"] for row in _json_lines(file)}
    else:
        file = folder / "meta" / "tasks.parquet"
        table = _table(file)
        index = (table.schema.pandas_metadata or {}).get(
            "index_columns", []
        )  # pandas may have called it anything
        text = next(
            (name for name in ("task", "__index_level_0__", *index) if name in table.column_names),
            None,
        )
        if text is None or "task_index" not in table.column_names:
            raise ValueError(
                f"{file}: expected task_index and the text as 'task' or as the index, found {table.column_names}"
            )
        texts = dict(zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True))
    for number, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(
                f"{file}: the text of task {number} is {text!r}: write the instruction there, or an empty text"
            )
    return texts


def _table(file: Path, columns=None) -> pa.Table:
    """The columns of a parquet file: a list of names, a function that picks names, or None for all."""
    with _errors_name(file):
        with pq.ParquetFile(file) as parquet:
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
    values, found = column.combine_chunks(), []
    if isinstance(values, pa.ExtensionArray):  # a tensor type: lists underneath
        values = values.storage
    while (
        pa.types.is_list(values.type)
        or pa.types.is_large_list(values.type)
        or pa.types.is_fixed_size_list(values.type)
    ):
        lengths = pc.unique(pc.list_value_length(values)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise ValueError(
                f"{where} has rows of different or missing lengths {sorted(lengths, key=str)}, info.json declares {shape}"
            )
        found.append(lengths[0])
        values = values.flatten()
    if not (
        pa.types.is_floating(values.type)
        or pa.types.is_integer(values.type)
        or pa.types.is_boolean(values.type)
    ):
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
        f"{file}: no feature {wanted or ' or '.join(usual)}; choose one with {kind}_key=: {', '.join(features)}"
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
