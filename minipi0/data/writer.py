"""Write a data set in LeRobot's v3.0 layout: several episodes to a file, one row a frame.

pyarrow writes the tables, PyAV the videos.

    meta/info.json                             features, counts, frame rate, where files are
    meta/stats.json                            min, max, mean, std and count of every feature
    meta/tasks.parquet                         task_index and the task's text
    meta/episodes/chunk-000/file-000.parquet   a row per episode: its files, rows and video times
    data/chunk-000/file-000.parquet            a row per frame: state, action, time, indices
    videos/CAMERA/chunk-000/file-000.mp4       frames of the same episodes, one after the other

Axes: T frames of an episode, S state dims, D action dims, H and W the frame's height and width.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
QUALITY = "23"  # H.264's constant rate factor: lower is better and larger
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


@dataclass
class Episode:
    """One demonstration.

    states: float[T, S]; actions: float[T, D]: stored as float32.
    videos: camera key ("observation.images.NAME") -> uint8[T, H, W, 3].
    """

    states: np.ndarray
    actions: np.ndarray
    task: str
    videos: dict[str, np.ndarray] = field(default_factory=dict)


def write(
    folder: str | os.PathLike,
    episodes: Sequence[Episode],
    fps: int,
    state_names: Sequence[str],
    action_names: Sequence[str],
    robot_type: str = "unknown",
    episodes_per_file: int = 50,
) -> Path:
    """Write `episodes` to a new folder. The whole folder appears at once, or nothing does.

    episodes_per_file: in tables and videos. Frame sides must be even (4:2:0 video).
    Returns the folder. Raises FileExistsError for a folder that exists, and ValueError for episodes
    that do not fit one another or hold a NaN or an infinity.
    """
    folder = Path(folder).expanduser()
    if folder.exists():
        raise FileExistsError(f"{folder} exists: name a new folder, or remove it first")
    cameras = _check(episodes, len(state_names), len(action_names))
    tasks = list(dict.fromkeys(episode.task for episode in episodes))
    info = {
        "codebase_version": "v3.0",
        "fps": fps,
        "features": _features(episodes[0], cameras, fps, state_names, action_names),
        "total_episodes": len(episodes),
        "total_frames": sum(len(episode.actions) for episode in episodes),
        "total_tasks": len(tasks),
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": DATA,
        "video_path": VIDEO if cameras else None,
        "robot_type": robot_type,
        "splits": {"train": f"0:{len(episodes)}"},
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        rows, tables, start, file_start = [], [], 0, 0
        for index, episode in enumerate(episodes):
            if index % episodes_per_file == 0:
                file_start = start
            tables.append(_frames(episode, index, start, tasks.index(episode.task), fps))
            file = _file(index // episodes_per_file)
            row = _episode_row(episode, index, file, start, file_start, fps)
            for key, stats in _stats([tables[-1]], _clips([episode], cameras)).items():
                row |= {f"stats/{key}/{name}": value for name, value in stats.items()}
            rows.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
            start += len(episode.actions)
        for first in range(0, len(episodes), episodes_per_file):
            these, file = slice(first, first + episodes_per_file), _file(first // episodes_per_file)
            _write_table(new / DATA.format(**file), pa.concat_tables(tables[these]))
            for camera, clips in _clips(episodes[these], cameras).items():
                _write_video(new / VIDEO.format(video_key=camera, **file), clips, fps)
        _write_table(new / EPISODES, pa.Table.from_pylist(rows))
        _write_table(new / "meta/tasks.parquet", _task_table(tasks))
        stats = _stats(tables, _clips(episodes, cameras))
        (new / "meta/stats.json").write_text(json.dumps(stats, indent=4))
        (new / "meta/info.json").write_text(json.dumps(info, indent=4))
        new.chmod(0o755)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return folder


def _check(episodes: Sequence[Episode], state_dim: int, action_dim: int) -> list[str]:
    """The camera keys, the same in every episode; ValueError where an episode does not fit."""
    if not episodes:
        raise ValueError("no episodes to write")
    cameras = {camera: frames.shape[1:] for camera, frames in episodes[0].videos.items()}
    for index, episode in enumerate(episodes):
        length, states, actions = len(episode.actions), episode.states, episode.actions
        expected = (length, state_dim), (length, action_dim)
        if length == 0 or (states.shape, actions.shape) != expected:
            raise ValueError(
                f"episode {index}: states {states.shape} and actions {actions.shape}, "
                f"expected (T, {state_dim}) and (T, {action_dim}) with T >= 1"
            )
        if not (np.isfinite(states).all() and np.isfinite(actions).all()):
            raise ValueError(f"episode {index} holds a NaN or an infinity")
        if {camera: frames.shape[1:] for camera, frames in episode.videos.items()} != cameras:
            raise ValueError(
                f"episode {index}: its cameras or their sizes differ from episode 0's, {cameras}"
            )
        for camera, frames in episode.videos.items():
            shape, sides = frames.shape, frames.shape[1:3]
            if frames.dtype != np.uint8 or len(shape) != 4 or shape != (length, *sides, 3):
                raise ValueError(
                    f"episode {index}, {camera}: expected ({length}, H, W, 3) uint8, "
                    f"got {shape} {frames.dtype}"
                )
            if sides[0] % 2 or sides[1] % 2:
                raise ValueError(
                    f"episode {index}, {camera}: height and width must be even, got {sides}"
                )
    return list(cameras)


def _file(number: int) -> dict[str, int]:
    return {"chunk_index": 0, "file_index": number}


def _clips(episodes: Sequence[Episode], cameras: list[str]) -> dict[str, list[np.ndarray]]:
    return {camera: [episode.videos[camera] for episode in episodes] for camera in cameras}


def _frames(episode: Episode, index: int, start: int, task_index: int, fps: int) -> pa.Table:
    """An episode's table, a row per frame. start: its first frame's number in the data set."""
    length = len(episode.actions)
    vectors = pa.list_(pa.float32())
    return pa.table(
        {
            "observation.state": pa.array(list(episode.states.astype(np.float32)), vectors),
            "action": pa.array(list(episode.actions.astype(np.float32)), vectors),
            "timestamp": pa.array(np.arange(length) / fps, pa.float32()),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, index),
            "index": np.arange(start, start + length),
            "task_index": np.full(length, task_index),
        }
    )


def _episode_row(
    episode: Episode, index: int, file: dict, start: int, file_start: int, fps: int
) -> dict:
    """An episode's row in meta/episodes, but for its statistics.

    start, file_start: the numbers in the data set of its own and of its file's first frame.
    """
    length = len(episode.actions)
    row = {"episode_index": index, **{f"data/{key}": value for key, value in file.items()}}
    row |= {"dataset_from_index": start, "dataset_to_index": start + length}
    for camera in episode.videos:
        row |= {f"videos/{camera}/{key}": value for key, value in file.items()}
        row[f"videos/{camera}/from_timestamp"] = (start - file_start) / fps
        row[f"videos/{camera}/to_timestamp"] = (start - file_start + length) / fps
    return row | {"tasks": [episode.task], "length": length}


def _stats(
    tables: list[pa.Table], videos: dict[str, list[np.ndarray]]
) -> dict[str, dict[str, list]]:
    """Statistics per feature and dimension; of frames per colour, as (3, 1, 1), in [0, 1]."""
    stats = {}
    for key in tables[0].column_names:
        values = np.concatenate([np.array(table[key].to_pylist()) for table in tables])
        values = values.reshape(len(values), -1)
        found = (values.min(0), values.max(0), values.mean(0), values.std(0))
        stats[key] = _named(found) | {"count": [len(values)]}
    for key, clips in videos.items():
        levels = np.zeros((3, 256), int)  # how often each level occurs
        for clip in clips:
            for colour in range(3):
                levels[colour] += np.bincount(clip[..., colour].ravel(), minlength=256)
        values = np.arange(256) / 255
        mean = levels @ values / levels.sum(1)
        std = np.sqrt(np.maximum(levels @ values**2 / levels.sum(1) - mean**2, 0))
        low, high = (levels > 0).argmax(1) / 255, (255 - (levels[:, ::-1] > 0).argmax(1)) / 255
        found = (value.reshape(3, 1, 1) for value in (low, high, mean, std))
        stats[key] = _named(found) | {"count": [sum(map(len, clips))]}
    return stats


def _named(found) -> dict[str, list]:
    names = ("min", "max", "mean", "std")
    return {name: value.tolist() for name, value in zip(names, found, strict=True)}


def _features(episode: Episode, cameras, fps: int, state_names, action_names) -> dict:
    """The features as info.json declares them."""

    def feature(dtype: str, shape: list[int], names: list[str] | None) -> dict:
        return {"dtype": dtype, "shape": shape, "names": names, "fps": fps}

    names = list(state_names)
    features = {"observation.state": feature("float32", [len(names)], names)}
    for camera in cameras:
        height, width = episode.videos[camera].shape[1:3]
        features[camera] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channel"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": fps,
                "video.channels": 3,
                "has_audio": False,
            },
        }
    names = list(action_names)
    features["action"] = feature("float32", [len(names)], names)
    features["timestamp"] = feature("float32", [1], None)
    for name in ("frame_index", "episode_index", "index", "task_index"):
        features[name] = feature("int64", [1], None)
    return features


def _task_table(tasks: list[str]) -> pa.Table:
    """The tasks with their text as the index of a pandas table: LeRobot finds it by this index.

    The schema's metadata makes `task` the index.
    """
    table = pa.table({"task_index": np.arange(len(tasks)), "task": tasks})
    columns = []
    for name, kind, dtype in (("task_index", "int64", "int64"), ("task", "unicode", "object")):
        column = {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": dtype}
        columns.append(column | {"metadata": None})
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
    pandas["pandas_version"] = "2.0.0"
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, write_page_checksum=True)  # `tables` compares them


def _write_video(path: Path, clips: list[np.ndarray], fps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"crf": QUALITY, "g": "10", "preset": "slow"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width = clips[0].shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1  # the same file on every machine with this encoder
        for pts, picture in enumerate(picture for clip in clips for picture in clip):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
