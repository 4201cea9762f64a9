"""Write a data set in LeRobot's v3.0 layout, with pyarrow and PyAV alone: several episodes to a file, one row a frame.

meta/info.json                                 features, counts, frame rate, where files are
meta/stats.json                                min, max, mean, std and count of every feature
meta/tasks.parquet                             task_index and the task's text
meta/episodes/chunk-000/file-000.parquet       a row per episode: which file, which rows, from when to when in each video
data/chunk-000/file-000.parquet                a row per frame: state, action, timestamp, indices
videos/CAMERA/chunk-000/file-000.mp4           frames of the same episodes, one episode after the other
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
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


@dataclass
class Episode:
    """states: (T, S), actions: (T, D), both stored as float32. videos: camera key ("observation.images.NAME") -> (T, H, W, 3) uint8."""

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
    quality: int = 23,
) -> Path:
    """Write `episodes` to `folder`, which must not exist yet: all of it appears at once, or nothing does. Returns the folder.

    quality: H.264's constant rate factor, lower is better and larger. Frame sides must be even (4:2:0 video).
    Raises FileExistsError, and ValueError for episodes that do not fit one another or hold a NaN or an infinity.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists: name a new folder, or remove it first")
    cameras = _check(episodes, len(state_names), len(action_names))
    tasks = list(dict.fromkeys(episode.task for episode in episodes))
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        rows, tables, start = [], [], 0
        for index, episode in enumerate(episodes):
            tables.append(_frames(episode, index, start, tasks.index(episode.task), fps))
            file = {"chunk_index": 0, "file_index": index // episodes_per_file}
            file_start = (
                rows[index - index % episodes_per_file]["dataset_from_index"]
                if index % episodes_per_file
                else start
            )
            row = {"episode_index": index, **{f"data/{key}": value for key, value in file.items()}}
            row |= {"dataset_from_index": start, "dataset_to_index": start + len(episode.actions)}
            for camera in cameras:
                row |= {f"videos/{camera}/{key}": value for key, value in file.items()}
                row[f"videos/{camera}/from_timestamp"] = (start - file_start) / fps
                row[f"videos/{camera}/to_timestamp"] = (
                    start - file_start + len(episode.actions)
                ) / fps
            row |= {"tasks": [episode.task], "length": len(episode.actions)}
            for key, stats in _stats(
                [tables[-1]], {camera: [episode.videos[camera]] for camera in cameras}
            ).items():
                row |= {f"stats/{key}/{name}": value for name, value in stats.items()}
            rows.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
            start += len(episode.actions)
        for first in range(0, len(episodes), episodes_per_file):
            these = slice(first, first + episodes_per_file)
            file = {"chunk_index": 0, "file_index": first // episodes_per_file}
            _write_table(new / DATA.format(**file), pa.concat_tables(tables[these]))
            for camera in cameras:
                frames = [episode.videos[camera] for episode in episodes[these]]
                _write_video(new / VIDEO.format(video_key=camera, **file), frames, fps, quality)
        _write_table(new / EPISODES, pa.Table.from_pylist(rows))
        _write_table(new / "meta/tasks.parquet", _task_table(tasks))
        stats = _stats(
            tables, {camera: [episode.videos[camera] for episode in episodes] for camera in cameras}
        )
        (new / "meta/stats.json").write_text(json.dumps(stats, indent=4))
        info = {
            "codebase_version": "v3.0",
            "fps": fps,
            "features": _features(episodes[0], cameras, fps, state_names, action_names),
            "total_episodes": len(episodes),
            "total_frames": start,
            "total_tasks": len(tasks),
            "chunks_size": 1000,
            "data_files_size_in_mb": 100,
            "video_files_size_in_mb": 200,
            "data_path": DATA,
            "video_path": VIDEO if cameras else None,
            "robot_type": robot_type,
            "splits": {"train": f"0:{len(episodes)}"},
        }
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
        length = len(episode.actions)
        if (
            length == 0
            or episode.states.shape != (length, state_dim)
            or episode.actions.shape != (length, action_dim)
        ):
            raise ValueError(
                f"episode {index}: states {episode.states.shape} and actions {episode.actions.shape}, expected (T, {state_dim}) "
                f"and (T, {action_dim}) with T >= 1"
            )
        if not (np.isfinite(episode.states).all() and np.isfinite(episode.actions).all()):
            raise ValueError(f"episode {index} holds a NaN or an infinity")
        if {camera: frames.shape[1:] for camera, frames in episode.videos.items()} != cameras:
            raise ValueError(
                f"episode {index}: its cameras or their sizes differ from episode 0's, {cameras}"
            )
        for camera, frames in episode.videos.items():
            if (
                len(frames) != length
                or frames.dtype != np.uint8
                or frames.ndim != 4
                or frames.shape[3] != 3
            ):
                raise ValueError(
                    f"episode {index}, {camera}: expected ({length}, H, W, 3) uint8, got {frames.shape} {frames.dtype}"
                )
            if frames.shape[1] % 2 or frames.shape[2] % 2:
                raise ValueError(
                    f"episode {index}, {camera}: height and width must be even, got {frames.shape[1:3]}"
                )
    return list(cameras)


def _frames(episode: Episode, index: int, start: int, task_index: int, fps: int) -> pa.Table:
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


def _stats(
    tables: list[pa.Table], videos: dict[str, list[np.ndarray]]
) -> dict[str, dict[str, list]]:
    """Per feature and dimension; of frames per colour, as (3, 1, 1), in [0, 1]."""
    stats = {}
    for key in tables[0].column_names:
        values = np.concatenate([np.array(table[key].to_pylist()) for table in tables])
        values = values.reshape(len(values), -1)
        stats[key] = {
            name: getattr(values, name)(axis=0).tolist() for name in ("min", "max", "mean", "std")
        } | {"count": [len(values)]}
    for key, clips in videos.items():
        count = sum(map(len, clips))
        levels = sum(
            np.stack([np.bincount(clip[..., colour].ravel(), minlength=256) for colour in range(3)])
            for clip in clips
        )  # (3, 256)
        values = np.arange(256) / 255
        mean = levels @ values / levels.sum(1)
        std = np.sqrt(np.maximum(levels @ values**2 / levels.sum(1) - mean**2, 0))
        low, high = (levels > 0).argmax(1) / 255, (255 - (levels[:, ::-1] > 0).argmax(1)) / 255
        per_colour = {"min": low, "max": high, "mean": mean, "std": std}
        stats[key] = {
            name: value.reshape(3, 1, 1).tolist() for name, value in per_colour.items()
        } | {"count": [count]}
    return stats


def _features(
    episode: Episode,
    cameras: list[str],
    fps: int,
    state_names: Sequence[str],
    action_names: Sequence[str],
) -> dict:
    features = {
        "observation.state": {
            "dtype": "float32",
            "shape": [len(state_names)],
            "names": list(state_names),
            "fps": fps,
        }
    }
    for camera in cameras:
        height, width = episode.videos[camera].shape[1:3]
        video = {
            "height": height,
            "width": width,
            "codec": "h264",
            "pix_fmt": "yuv420p",
            "is_depth_map": False,
            "fps": fps,
            "channels": 3,
        }
        features[camera] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channel"],
        }
        features[camera]["info"] = {f"video.{key}": value for key, value in video.items()} | {
            "has_audio": False
        }
    features["action"] = {
        "dtype": "float32",
        "shape": [len(action_names)],
        "names": list(action_names),
        "fps": fps,
    }
    for name in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        features[name] = {
            "dtype": "float32" if name == "timestamp" else "int64",
            "shape": [1],
            "names": None,
            "fps": fps,
        }
    return features


def _task_table(tasks: list[str]) -> pa.Table:
    """LeRobot reads it with pandas and looks the text up in the index: the schema's metadata makes `task` the index."""
    table = pa.table({"task_index": np.arange(len(tasks)), "task": tasks})
    columns = [
        {
            "name": "task_index",
            "field_name": "task_index",
            "pandas_type": "int64",
            "numpy_type": "int64",
            "metadata": None,
        },
        {
            "name": "task",
            "field_name": "task",
            "pandas_type": "unicode",
            "numpy_type": "object",
            "metadata": None,
        },
    ]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": columns,
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _write_video(path: Path, clips: list[np.ndarray], fps: int, quality: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"crf": str(quality), "g": "10", "preset": "slow"}
        )
        stream.width, stream.height, stream.pix_fmt = (
            clips[0].shape[2],
            clips[0].shape[1],
            "yuv420p",
        )
        stream.thread_count = 1  # the same file on every machine with this encoder
        for pts, picture in enumerate(picture for clip in clips for picture in clip):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
