"""Where the episodes of a LeRobot data set lie: files, rows and frames, whatever the version.

v2 has a file per episode, v3.0 many episodes in one. The names of the files follow templates in
meta/info.json, as "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet".
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from minipi0.data.tables import errors_name, json_lines, parquet_files, table

PLACE = ("chunk_index", "file_index")  # what names a file in v3.0
# the usual templates of v2 and v3.0, where info.json names none
TEMPLATES = {
    ("v2", "data"): "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    ("v2", "video"): "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    ("v3", "data"): "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    ("v3", "video"): "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
SPELLINGS = {  # what a template may call a thing
    "episode": ("episode_index", "episode_idx", "episode_id", "episode"),
    "chunk": ("episode_chunk", "chunk_index", "chunk_idx", "chunk_id", "chunk"),
    "file": ("file_index", "file_idx", "file_id", "file"),
    "camera": ("video_key", "camera_key", "image_key", "camera", "key"),
}


@dataclass(frozen=True)
class Span:
    """Where an episode lies in a file: `length` frames or table rows from number `first` on.

    first: counted from 0.
    begins: when frame `first` of a video is shown, in seconds, as the metadata tell.
    before, listed: frames of the episodes that the metadata list before it in a shared video, and
        of all of them.
    number: the frame_index of the first row, which mostly is 0.
    """

    file: Path
    first: int
    length: int
    begins: float = 0.0
    before: int = 0
    listed: int = 0
    number: int = 0


@dataclass(frozen=True)
class Place:
    """An episode as the metadata describe it, before its table is read.

    file: its parquet file. videos: per camera that is stored as video and that the list of episodes
    knows. tasks: its instructions there.
    """

    index: int
    file: Path
    length: int
    videos: dict[str, Span]
    tasks: list[str]


def find(folder: Path, info: dict, cameras: list[str]) -> list[Place]:
    """All episodes that the metadata list, in the order of their index.

    info: what meta/info.json holds. cameras: those that are stored as video.
    Raises FileNotFoundError and ValueError for lists that are missing, broken or not consistent.
    """
    _check_lists(folder, info)
    read = _v3 if info["codebase_version"] == "v3.0" else _v2
    places = sorted(read(folder, info, cameras), key=lambda place: place.index)
    _count_shared(places)
    for place in places[:1]:
        files = [span.file for span in place.videos.values()]
        if len(set(files)) < len(files):
            raise ValueError(
                f"{folder / 'meta' / 'info.json'}: video_path names one file, {files[0]}, for "
                f"several of {', '.join(place.videos)}: write {{video_key}} there"
            )
    if not places:
        raise ValueError(f"{folder}: the data set lists no episode: record one, or fetch it again")
    for one, other in zip(places, places[1:], strict=False):
        if one.index == other.index:
            raise ValueError(
                f"{folder}: the list of episodes in meta/ has episode {one.index} more than once: "
                "keep one of the entries"
            )
    return places


def _check_lists(folder: Path, info: dict) -> None:
    """Raise ValueError where nothing was recorded yet, and for a list of another version."""
    version, right = info["codebase_version"], ""
    tables = bool(parquet_files(folder / "meta" / "episodes"))
    lines = (folder / "meta" / "episodes.jsonl").exists()
    if info.get("total_episodes") == 0 and not (tables or lines):
        raise ValueError(f"{folder}: the data set holds no episode yet: record one, or fetch it")
    if version == "v3.0" and lines and not tables:
        listed, right = "meta/episodes.jsonl", "v2.1"
    elif version != "v3.0" and tables and not lines:
        listed, right = "meta/episodes/", "v3.0"
    if right:
        raise ValueError(
            f"{folder / 'meta' / 'info.json'}: codebase_version is {version!r}, but the episodes "
            f"are listed in {listed}, as {right} has it: write {right!r} there"
        )


def _v2(folder: Path, info: dict, cameras: list[str]) -> Iterator[Place]:
    """A file per episode, so every span starts at 0.

    Videos are indexed by frame. Their timestamps are those of the recording, drift against the
    nominal rate, and are not used.
    """
    file = folder / "meta" / "episodes.jsonl"
    for row in json_lines(file):
        with errors_name(file):
            index, length = int(row["episode_index"]), int(row["length"])
        chunk = index // int(info.get("chunks_size") or 1000)
        words = {"episode": index, "chunk": chunk}
        videos = {}
        for camera in cameras:
            video = _path(folder, info, "video", words | {"camera": camera})
            videos[camera] = Span(video, 0, length)
        yield Place(index, _path(folder, info, "data", words), length, videos, _tasks(row))


def _v3(folder: Path, info: dict, cameras: list[str]) -> Iterator[Place]:
    """Many episodes in a file: the one that begins at `from_timestamp` (s) has first frame s * fps.

    `frames` compares that with the times that the video itself tells.
    """
    files = parquet_files(folder / "meta" / "episodes")
    if not files:
        raise FileNotFoundError(
            f"{folder}: no parquet file in meta/episodes, which a v3.0 data set must have: "
            "fetch the data set again"
        )
    for file in files:
        with errors_name(file):
            rows = table(file, lambda name: not name.startswith("stats/")).to_pylist()
        for row in rows:
            videos = {}
            with errors_name(file):
                index, length = int(row["episode_index"]), int(row["length"])
                # where a writer left it out, `rows.where_held` finds the table
                place = {key: int(row.get(f"data/{key}") or 0) for key in PLACE}
            words = {"episode": index, "chunk": place["chunk_index"], "file": place["file_index"]}
            for camera in cameras:
                told = [row.get(f"videos/{camera}/{key}") for key in (*PLACE, "from_timestamp")]
                # never recorded; pandas makes NaN of a number that is not there
                if None in told or any(number != number for number in told[:2]):
                    continue
                chunk, number, begins = int(told[0]), int(told[1]), float(told[2])
                if not 0 <= begins < float("inf"):
                    raise ValueError(
                        f"{file}: the from_timestamp of {camera} in episode {index} is {begins}: "
                        "write the second there at which the episode begins in its video"
                    )
                here = {"episode": index, "chunk": chunk, "file": number, "camera": camera}
                video = _path(folder, info, "video", here)
                videos[camera] = Span(video, round(begins * float(info["fps"])), length, begins)
            yield Place(index, _path(folder, info, "data", words), length, videos, _tasks(row))


def _count_shared(places: list[Place]) -> None:
    """Fill `before` and `listed` in."""
    sharing: dict[Path, list] = {}
    for place in places:
        for camera, span in place.videos.items():
            sharing.setdefault(span.file, []).append((span.begins, place.index, camera, place))
    for spans in sharing.values():
        spans.sort(key=lambda one: one[:3])
        listed, before = sum(place.length for *_, place in spans), 0
        for *_, camera, place in spans:
            place.videos[camera] = replace(place.videos[camera], before=before, listed=listed)
            before += place.length


def _tasks(row: dict) -> list[str]:
    told = row.get("tasks") or []
    return [told] if isinstance(told, str) else [text for text in told if isinstance(text, str)]


def _path(folder: Path, info: dict, what: str, words: dict) -> Path:
    """The file that a template names. words: {a key of SPELLINGS: its value}."""
    version = info["codebase_version"][:2]
    template = info.get(f"{what}_path") or TEMPLATES[version, what]
    where = f"{folder / 'meta' / 'info.json'}: {what}_path is {template!r}"
    values = {name: value for kind, value in words.items() for name in SPELLINGS[kind]}

    def fill(found: re.Match) -> str:
        name, digits = found.groups()
        if name not in values:
            known = ", ".join(sorted(values))
            raise ValueError(f"{where}, where {{{name}}} is unknown: write one of {known}")
        return str(values[name]).zfill(int(digits or 0))

    if not isinstance(template, str):
        raise ValueError(f"{where}, which is no text: write the template of the files there")
    template = template.replace("\\", "/")  # written on Windows
    name = re.sub(r"\{(\w+)(?::0?(\d{1,2})d?)?\}", fill, template)
    if "{" in name or "}" in name:
        raise ValueError(f"{where}: minipi0 reads {{name}} and {{name:03d}} there")
    inside, path = os.path.abspath(folder), os.path.abspath(folder / name)
    if os.path.commonpath([inside, path]) != inside:
        raise ValueError(f"{where}, which leaves the folder of the data set: refused")
    return folder / name
