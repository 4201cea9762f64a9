"""LeRobot data sets as arrays: what is in the folder, whatever the version.

`places` finds the files, `tables` reads them; `frames` reads the pixels, `chunks` cuts what is read
here into chunks for training.

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

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from minipi0.data import features as declared
from minipi0.data.features import ACTION_KEYS, STATE_KEYS
from minipi0.data.places import Place, Span, find
from minipi0.data.rows import CLOCKS, episode_of, rows_of, where_held
from minipi0.data.tables import (
    Told,
    errors_name,
    integers,
    json_file,
    json_lines,
    matrix,
    stand_in,
    table,
)

VERSIONS = ("v2.0", "v2.1", "v3.0")
LATER = {"v2.": "v2.1", "v3.": "v3.0"}  # as what an unknown version that begins so is read
OTHERS = {  # what a folder holds that is no LeRobot data set -> what it is, what to do
    "meta_data/info.json": "LeRobot v1 data set (v1.0 to v1.6): convert it with LeRobot's "
    "convert_dataset_v1_to_v2.py (LeRobot 0.1 to 0.3, lerobot/common/datasets/v2), then load that",
    "*.tfrecord*": "data set of TensorFlow records (RLDS): convert it to LeRobot first, as "
    "openpi's examples/libero/convert_libero_data_to_lerobot.py does",
    "*.hdf5": "folder of HDF5 files: convert them to LeRobot first, as openpi's "
    "examples/aloha_real/convert_aloha_data_to_lerobot.py does",
    "*.zarr": "zarr store: convert it to LeRobot first",
}


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
    """A whole data set, or some episodes of it, but for its pixels. Episodes are in their order."""

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
    info: dict = field(default_factory=dict)  # what meta/info.json holds
    no_cameras: dict[str, str] = field(default_factory=dict)  # declared, and why they are none


def read(
    folder: Path,
    state_key: str | list[str] | None = None,
    action_key: str | list[str] | None = None,
    episodes: list[int] | None = None,
    without: list[int] | None = None,
) -> Recording:
    """Read the metadata and tables of the data set in `folder`; decode no video and no image.

    state_key, action_key: the features to take, one after the other where there are several; by
        default the first present of STATE_KEYS and of ACTION_KEYS.
    episodes, without: numbers of the episodes to take (None: all), and of those to leave out. Files
        of other episodes need not be there.

    Raises FileNotFoundError for a missing file. Raises ValueError for an unreadable or truncated
    file, an unknown version or episode, tables that contradict the metadata (episodes, lengths,
    shapes), and NaN or infinite states or actions (with episode and frame).
    """
    folder = Path(folder).expanduser()
    info = _info(folder)
    info_file, features = folder / "meta" / "info.json", info["features"]
    keys = {
        "state": declared.chosen(features, state_key, STATE_KEYS, info_file),
        "action": declared.chosen(features, action_key, ACTION_KEYS, info_file),
    }
    others = {k: one for k, one in features.items() if k not in (*keys["state"], *keys["action"])}
    cameras, no_cameras = declared.cameras(others)
    videos = [key for key in cameras if declared.is_video(features[key])]
    places = find(folder, info, videos)
    if episodes is None and without is None:
        _count(folder, info, places)
    places = _picked(places, episodes, without, folder)
    if info["codebase_version"] == "v3.0":
        places = where_held(places, folder)
    _present(places, folder)
    never = [key for key in videos if not any(key in place.videos for place in places)]
    no_cameras |= dict.fromkeys(never, "the list of episodes in meta/ names no video of it")
    task_texts = _tasks(folder, places)

    columns = [*keys["state"], *keys["action"]]
    optional = {"episode_index", "frame_index", "task_index", *CLOCKS} - set(columns)
    parts, found, start, opened = [], [], 0, None
    for place in places:
        if place.file != opened:  # the episodes come in the order of the files
            opened, whole = place.file, table(place.file, columns, sorted(optional))
            whose = episode_of(whole, place, info)
        first, rows, number = rows_of(whole, whose, place)
        vectors = [_vectors(rows, columns, features, place) for columns in keys.values()]
        for what, mine, usual in zip(keys, vectors, parts[0] if parts else vectors, strict=False):
            if mine.shape[1] != usual.shape[1]:
                raise ValueError(
                    f"{place.file}: the {what} of episode {place.index} has {mine.shape[1]} dims, "
                    f"and {usual.shape[1]} in episode {found[0].index}: leave one kind out "
                    "(without=), or choose another feature"
                )
        parts.append((*vectors, _task(rows, place, task_texts, folder)))
        span = Span(opened, first, place.length)
        films = {key: replace(one, number=number) for key, one in place.videos.items()}
        found.append(Episode(place.index, start, span, films))
        start += place.length

    _tell_tasks(places, [set(part[2].tolist()) for part in parts], task_texts, folder)
    state, actions, task = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    numbers = sorted(task_texts)  # the files' numbers may have gaps
    widths = {  # of every feature, as its table has it
        key: matrix(rows[key], None, key).shape[1] for keys_ in keys.values() for key in keys_
    }
    names = {
        what: declared.names_of(features, mine, [widths[key] for key in mine])
        for what, mine in keys.items()
    }
    return Recording(
        folder=folder,
        version=info["codebase_version"],
        fps=float(info["fps"]),
        cameras=[key for key in cameras if key not in no_cameras],
        episodes=found,
        state=state,
        actions=actions,
        task=np.searchsorted(numbers, task),
        task_texts=[task_texts[number] for number in numbers],
        state_names=names["state"],
        action_names=names["action"],
        info=info,
        no_cameras=no_cameras,
    )


def _info(folder: Path) -> dict:
    """What meta/info.json holds, its parts of the right kind."""
    file = folder / "meta" / "info.json"
    if not file.exists():
        raise FileNotFoundError(f"{folder} is no LeRobot data set: it {_instead(folder)}")
    info = json_file(file)
    if not isinstance(info, dict):
        raise ValueError(f"{file} holds no object {{…}}: fetch it again")
    with errors_name(file):
        version, features, fps = info["codebase_version"], info["features"], info["fps"]
    if str(version)[:1].isdigit():  # some writers leave the v out
        version = f"v{version}"
    known = version if version in VERSIONS else LATER.get(str(version)[:3])
    if not known:
        older = ""
        if str(version).startswith("v1"):
            older = f"; this is a {OTHERS['meta_data/info.json']}"
        raise ValueError(
            f"{file}: version {version!r} is unknown; v2.0, v2.1 and v3.0 can be read"
            f"{older or ' (LeRobot has scripts that convert others)'}"
        )
    if version != known:
        warnings.warn(f"{file}: version {version!r} is unknown and read as {known}", stacklevel=5)
    if not isinstance(features, dict):
        raise ValueError(f"{file}: features is {str(features)[:60]}, not {{name: {{…}}, …}}")
    for name, feature in features.items():
        if not isinstance(feature, dict):
            raise ValueError(
                f"{file}: the feature {name!r} is {str(feature)[:60]}, not {{dtype: …, shape: …}}: "
                "declare it, or remove it there"
            )
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not 0 < fps < np.inf:
        raise ValueError(
            f"{file}: fps is {fps!r}: write the rate there at which the frames were recorded"
        )
    size = info.get("chunks_size")
    if size is not None and (not isinstance(size, int) or size < 1):
        raise ValueError(f"{file}: chunks_size is {size!r}, no number from 1 on: it is mostly 1000")
    return info | {"codebase_version": known}


def _instead(folder: Path) -> str:
    """What a folder without meta/info.json holds, and what to do."""
    for pattern, what in OTHERS.items():
        if next(folder.glob(pattern), None) or next(folder.glob(f"*/{pattern}"), None):
            return f"is a {what}"
    inner = [*folder.glob("*/meta/info.json"), *folder.glob("*/*/meta/info.json")]
    inner = sorted(file.parents[1] for file in inner)
    if inner:
        return f"has no meta/info.json, but {', '.join(str(one) for one in inner[:8])}: name that"
    if folder.parent.name == "snapshots":  # of the Hub's cache
        return (
            "has no meta/info.json; is the repository a collection? Fetch one of its data sets, "
            "`hf download OWNER/NAME --repo-type dataset --include 'ONE/*' --local-dir .`, and "
            "name that folder"
        )
    return "has no meta/info.json: name the folder that holds meta/, data/ and videos/"


def _count(folder: Path, info: dict, places: list[Place]) -> None:
    total = info.get("total_episodes")
    if total is not None and len(places) != total:
        raise ValueError(
            f"{folder / 'meta' / 'info.json'} counts {total} episodes, the list of episodes has "
            f"{len(places)}: incomplete? Fetch it again, correct total_episodes there, or name "
            "those to take with episodes="
        )


def _picked(places: list[Place], episodes, without, folder: Path) -> list[Place]:
    """The episodes to take."""
    there = {place.index for place in places}
    asked = {"episodes": episodes, "without": without}
    for what, wanted in asked.items():
        if isinstance(wanted, str | int):
            raise ValueError(f"{what} is a list of numbers, not {wanted!r}")
        asked[what] = None if wanted is None else set(wanted)
        absent = sorted((asked[what] or set()) - there)
        if absent:
            raise ValueError(
                f"{folder} lists no episode {absent[0]}; it has {spans(sorted(there))}: "
                f"correct {what}="
            )
    taken = (there if episodes is None else asked["episodes"]) - (asked["without"] or set())
    if not taken:
        raise ValueError(f"{folder}: no episode is left; it has {spans(sorted(there))}")
    return [place for place in places if place.index in taken]


def _present(places: list[Place], folder: Path) -> None:
    """Raise FileNotFoundError unless the tables of all episodes are there, or ValueError for files
    that only stand for them.
    """
    files = {place.file for place in places}
    absent = {file for file in files if not file.is_file()}
    pointers = {file: what for file in files - absent if (what := stand_in(file))}
    here = [place.index for place in places if place.file not in absent | pointers.keys()]
    some = f"; or take what is here: episodes={spans(here)}" if here else ""
    if absent:
        raise FileNotFoundError(
            f"{min(absent)} is missing ({len(absent)} of {len(files)} tables are): fetch the data "
            f"set again, or restore the file{some}"
        )
    if pointers:
        file = min(pointers)
        raise ValueError(
            f"{file} is {pointers[file]} ({len(pointers)} of {len(files)} tables are such){some}"
        )


def spans(numbers: list[int]) -> str:
    """Ascending numbers in short: "0-4, 7, 9-10"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)


def _vectors(rows: pa.Table, keys: list[str], features: dict, place: Place) -> np.ndarray:
    """The states or actions of an episode, (rows, width) float32, all of them finite."""
    found = []
    for key in keys:
        values = matrix(rows[key], declared.shape_of(features[key]), f"{place.file}: {key!r}")
        if not np.isfinite(values).all():
            frame, dim = np.argwhere(~np.isfinite(values))[0]
            raise ValueError(
                f"{place.file}: {key!r} is {values[frame, dim]} as float32 in episode "
                f"{place.index}, frame {frame}, dimension {dim}: repair or remove that episode "
                "(without=)"
            )
        found.append(values)
    return np.concatenate(found, axis=1)


def _task(rows: pa.Table, place: Place, texts: dict[int, str], folder: Path) -> np.ndarray:
    """The task of each row, int64[rows], a key of `texts`."""
    if "task_index" not in rows.column_names:
        mine = [number for number, text in texts.items() if text in place.tasks] or list(texts)
        if len(mine) != 1:
            raise ValueError(
                f"{place.file} has no task_index, and {folder / 'meta'} tells {len(texts)} tasks "
                f"and not which of them episode {place.index} shows: add the column"
            )
        return np.full(len(rows), mine[0])
    task = integers(rows, "task_index", place.file)
    unknown = set(task.tolist()) - set(texts)
    if unknown:
        raise ValueError(
            f"{place.file}: task_index {min(unknown)} in episode {place.index}, but "
            f"{folder / 'meta'} lists only {sorted(texts)}: add the task's text there"
        )
    return task


def _tell_tasks(places: list[Place], shown: list[set], texts: dict[int, str], folder: Path) -> None:
    """Warn where the rows' task_index and the list of episodes tell two tasks of one episode.

    shown: the task_index of every episode's rows.
    """
    known, contrary = set(texts.values()), []
    for place, numbers in zip(places, shown, strict=True):
        listed = known & set(place.tasks)  # other words for a task are no contradiction
        if listed and not listed & {texts[number] for number in numbers}:
            contrary.append((place.index, texts[min(numbers)], min(listed)))
    if contrary:
        index, table, listed = contrary[0]
        warnings.warn(
            f"{folder}: the task_index of {len(contrary)} episodes tells another task than the "
            f"list of episodes (episode {index}: {table!r}, not {listed!r}); the table's is taken: "
            "correct one of the two",
            stacklevel=5,
        )


def _tasks(folder: Path, places: list[Place]) -> dict[int, str]:
    """{task_index: text}, from meta/tasks.jsonl or tasks.parquet, or else as the episodes tell."""
    lines, file = folder / "meta" / "tasks.jsonl", folder / "meta" / "tasks.parquet"
    if file.exists():
        with errors_name(file):
            found = table(file)
            # the text is the index of a pandas table, and pandas may have called it anything
            index = (found.schema.pandas_metadata or {}).get("index_columns", [])
            usual = ("task", "__index_level_0__", *(i for i in index if isinstance(i, str)))
            text = next((name for name in usual if name in found.column_names), None)
            if text is None or "task_index" not in found.column_names:
                raise Told(
                    f"{file}: expected task_index and the text as 'task' or as the index, "
                    f"found {found.column_names}: rename the column, or fetch it again"
                )
            numbers = integers(found, "task_index", file).tolist()
            told = list(zip(numbers, found[text].to_pylist(), strict=True))
    elif lines.exists() or len({text for place in places for text in place.tasks}) != 1:
        file = file if (folder / "meta" / "episodes").is_dir() and not lines.exists() else lines
        with errors_name(file):
            told = [(int(row["task_index"]), row["task"]) for row in json_lines(file)]
    else:  # one task, whatever its number
        told = [(0, next(text for place in places for text in place.tasks))]
    texts: dict[int, str] = {}
    for number, text in told:
        if texts.setdefault(number, text) != text:
            raise ValueError(
                f"{file}: task {number} is {texts[number]!r} and {text!r}: keep the right one"
            )
        if not isinstance(text, str) or text.encode("utf-8", "replace").decode() != text:
            raise ValueError(
                f"{file}: the text of task {number} is {text!r}: "
                "write the instruction there, or an empty text"
            )
    return texts
