"""Camera frames, decoded and resized once, then kept on disk.

Each data set, camera and size has one memory-mapped uint8 array. Decoding 640x480 video takes
milliseconds a frame, reading the array microseconds.
The arrays lie in `$MINIPI0_CACHE`, else in the platform's cache folder for applications. Their
names hold a hash of the source files' content, so changed sources never meet old frames. An array
gets its name only when it is complete. Delete the folder at any time.
Axes: F frames of the whole data set, S the image size in pixels.
"""

import hashlib
import math
import os
import shutil
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from PIL import Image
from tqdm.auto import tqdm

from minipi0.data.decoders import Contradiction, images, times_of, video
from minipi0.data.features import depth_format, is_video
from minipi0.data.lerobot import Recording
from minipi0.data.lerobot import spans as in_short
from minipi0.data.pictures import NoColours
from minipi0.data.places import Span
from minipi0.data.sources import cache_folder
from minipi0.data.tables import fault

THREADS = 2
RULE = 3  # raise it whenever decoding or resizing changes: old arrays are then not found
BROKEN = (  # what PyAV, PIL and pyarrow raise for a damaged file
    *(av.error.FFmpegError, pa.ArrowException, Image.DecompressionBombError),
    *(ValueError, OSError, EOFError, IndexError, AttributeError),  # no stream, no codec
)
ASTRAY = 0.51  # periods by which a frame may be shown early or late
DRIFT = 0.02  # of a period more with every frame, where the number of frames is right


@dataclass(frozen=True)
class Film:
    """All frames of a camera, perhaps not yet decoded. Made by `find`.

    path, shape: of the array. spans: of every episode, where its frames lie, and its first row.
    """

    path: Path
    shape: tuple[int, int, int, int]
    spans: list[tuple[Span, int]]
    camera: str
    recording: Recording

    def open(self) -> np.ndarray | None:
        """The decoded frames, or None where there are none (or a disk fault left fewer)."""
        try:
            cached = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return cached if cached.shape == self.shape and cached.dtype == np.uint8 else None


def find(recording: Recording, camera: str, size: int) -> Film:
    """The film of a camera, of S x S pixels: its files, which must be there, and its place.

    Raises FileNotFoundError for a missing file, ValueError for episodes that have none.
    """
    spans = _spans(recording, camera)
    key = _content_key(spans, _files(recording, camera, spans), camera, size)
    name = f"{recording.folder.name}-{camera}-{size}px-{key}.npy"
    path = cache_folder() / "frames" / name.replace(os.sep, "_")[-200:]  # file systems allow 255
    return Film(path, (len(recording.state), 3, size, size), spans, camera, recording)


def decode(films: list[Film]) -> list[np.ndarray]:
    """The frames of some films, uint8[F, 3, S, S] each, padded to squares with black (0).

    The first call decodes them; every call returns memory-mapped arrays.
    Raises ValueError for a file that cannot be decoded, has fewer frames than the tables or runs at
    another rate (with file, expected and found), and for depth maps. Raises OSError, before the
    first is decoded, where the cache cannot be written or has no room for all of the films.
    Warns of v2 videos with more frames than rows, of which the first ones are taken; and of v3.0
    videos whose frames are not where the metadata say, and that hold just these episodes.
    """
    missing = {film.path: math.prod(film.shape) for film in films if film.open() is None}
    if missing:
        _check_room(cache_folder() / "frames", sum(missing.values()))
    for film in films:
        if film.open() is None:
            _build(film)
    return [film.open() for film in films]


def depth(recording: Recording, camera: str) -> str:
    """Why the first file of a camera holds depth and no colours; "" where it does not."""
    spans = _spans(recording, camera)
    file = min(span.file for span, _ in spans)
    try:
        if is_video(recording.info["features"][camera]):
            with av.open(str(file)) as container:
                return depth_format(container.streams.video[0].format.name)
        next(images(file, camera, 8, recording.info["features"][camera].get("shape")))
    except NoColours as error:
        return str(error)
    except (*BROKEN, StopIteration):
        pass  # a missing or broken file: `find` or `decode` says it
    return ""


def _spans(recording: Recording, camera: str) -> list[tuple[Span, int]]:
    """Of every episode: where its frames lie, and its first row in the array."""
    if not is_video(recording.info["features"][camera]):
        return [(one.rows, one.start) for one in recording.episodes]
    without = [one.index for one in recording.episodes if camera not in one.videos]
    if without:
        raise ValueError(
            f"{recording.folder}: the list of episodes in meta/ names no video of {camera} for "
            f"episodes {in_short(without)}: leave them out with without=, or name other cameras="
        )
    return [(one.videos[camera], one.start) for one in recording.episodes]


def _files(recording: Recording, camera: str, spans: list[tuple[Span, int]]) -> list[Path]:
    """The files of a camera, all of which are there."""
    files = sorted({span.file for span, _ in spans})
    absent = [file for file in files if not file.is_file()]
    if not absent:
        return files
    others = [name for name in recording.cameras if _whole(recording, name)]
    told = f"{absent[0]} is missing ({len(absent)} of the {len(files)} videos of {camera} are)"
    lie = zip(recording.episodes, spans, strict=True)
    whole = [episode.index for episode, (span, _) in lie if span.file not in absent]
    more = f", or take the episodes that have them: episodes={in_short(whole)}" if whole else ""
    if len(absent) == len(files):
        told = f"{recording.folder}: info.json declares the camera {camera}, but none of its files "
        told += f"is there, not even {absent[0]}"
    raise FileNotFoundError(
        f"{told}: fetch the data set with its videos, or load it with cameras={others}{more}"
    )


def _whole(recording: Recording, camera: str) -> bool:
    return all(one.videos.get(camera, one.rows).file.is_file() for one in recording.episodes)


def _check_room(folder: Path, need: int) -> None:
    """Raise OSError unless the disk has room: a memory map without any kills the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OSError(
            f"decoded frames cannot be kept in {folder} ({error}): "
            "set MINIPI0_CACHE to a folder to write to"
        ) from error
    if need > free:
        raise OSError(
            f"the frame cache in {folder} needs {need / 1e9:.1f} GB for all cameras, and "
            f"{free / 1e9:.1f} GB are free: set MINIPI0_CACHE to a larger disk, or name fewer "
            "cameras="
        )


def _placed(file: Path, places: list[tuple[Span, int]], fps: float):
    """(places, message): v3.0's episodes at the frames of their video that are theirs.

    places: [(Span, first row in the array)] of one file. The metadata tell the second at which an
    episode begins. Where the file holds just the frames of the listed episodes, their lengths alone
    say which ones; where that is not what the clock says, the message tells. In other files,
    deleted episodes may lie between them, and the clock counts: the nearest frame is the first.
    """
    times = times_of(file)
    if not times:
        return places, ""
    shown, moved, off = np.array(times), [], 0.0
    alone = {span.listed for span, _ in places} == {len(times)}
    for span, start in places:
        first = span.before if alone else int(np.abs(shown - span.begins).argmin())
        off = max(off, shown[first] - span.begins, key=abs)
        moved.append((replace(span, first=first, begins=float(shown[first])), start))
    if abs(off) * fps <= ASTRAY:
        return moved, ""
    told = f"an episode begins {abs(off):.3f} s {'after' if off > 0 else 'before'} the "
    told += "from_timestamp that meta/episodes tells"
    if alone:
        return moved, f"{file}: {told}"
    raise Contradiction(
        f"{told}, and with {len(times)} frames for {places[0][0].listed} rows nothing else says "
        "which are its own: correct from_timestamp, or leave these episodes out (without=)"
    )


def _decode_file(
    file: Path, camera: str, places: list[tuple[Span, int]], out, threads: int, recording, advance
) -> str:
    """Write the frames of one file to their rows of `out`, uint8[F, 3, S, S].

    places: the episodes of the file, and the first row of each in `out`.
    advance: called after every frame.
    Returns a message where the file does not hold just what the metadata say, else "".
    """
    fps, place_of = recording.fps, {}  # frame in the file -> row of `out`, due time in seconds
    feature, found, moved = recording.info["features"][camera], 0, ""
    by_count = recording.version != "v3.0"  # v2: one frame per row, whatever the clock says
    size = out.shape[-1]
    try:
        if is_video(feature):
            if not by_count:
                places, moved = _placed(file, places, fps)
            pictures = video(file, size, threads)
        else:
            pictures = images(file, camera, size, feature.get("shape"))
        for span, start in places:
            for k in range(span.length):
                place_of[span.first + k] = (start + k, span.begins + k / fps, k)
        if len(place_of) != sum(span.length for span, _ in places):
            raise Contradiction(
                "the metadata give the same frame to two episodes: correct from_timestamp in "
                "meta/episodes, or leave one of them out (without=)"
            )
        expected, astray, far = max(place_of) + 1, "", False
        for picture, time in pictures:
            if found in place_of:
                row, due, k = place_of[found]
                off = 0 if time is None else abs(time - due) * fps
                if off > ASTRAY and not astray:
                    shown = f"frame {found} is shown at {time:.3f} s"
                    astray = f"{shown}, due is the one at {due:.3f} s"
                far = far or off > ASTRAY + DRIFT * k
                out[row] = picture
                advance()
            found += 1
    except (Contradiction, NoColours) as error:
        raise ValueError(f"{file}: {error}") from error
    except BROKEN as error:
        if isinstance(error, InterruptedError):
            raise
        if what := fault(file, error):
            raise ValueError(f"{file} {what}") from error
        raise ValueError(
            f"{file} cannot be decoded at frame {found}, perhaps it is truncated: "
            f"fetch it again ({getattr(error, 'strerror', None) or error})"
        ) from error
    if found < expected:
        raise ValueError(
            f"{file}: expected {expected} frames as the tables say, found {found}: "
            "fetch it again, or leave the episode out (without=)"
        )
    counts = f"{file}: {found} frames for {expected} rows"
    if by_count and found > expected and (number := places[0][0].number):
        raise ValueError(
            f"{counts}, whose frame_index begins at {number}: cut the video to their frames, or "
            "number the rows from 0 where they are its first ones"
        )
    counted = found == places[0][0].listed  # v3.0: these episodes' frames and no others
    if astray and (found > expected if by_count else far or not counted):
        raise ValueError(
            f"{counts} at {fps:g} a second, but {astray}: another frame rate? Correct fps in "
            "meta/info.json"
        )
    if astray and not by_count:
        moved = moved or f"{counts}, {astray}"
    return moved or (counts if by_count and found > expected else "")


def _build(film: Film) -> None:
    """Decode everything into a temporary file, then give it its name in one step.

    Other processes see the whole array or nothing.
    """
    path, camera, recording = film.path, film.camera, film.recording
    try:
        handle, temporary = tempfile.mkstemp(suffix=".part", prefix=path.stem, dir=path.parent)
    except OSError as error:
        raise OSError(
            f"decoded frames cannot be kept in {path.parent} ({error}): "
            "set MINIPI0_CACHE to a folder to write to"
        ) from error
    os.close(handle)
    places: dict[Path, list] = {}
    for span, start in film.spans:
        places.setdefault(span.file, []).append((span, start))
    lock, stopping = threading.Lock(), threading.Event()
    pool = ThreadPoolExecutor(THREADS)  # decoding and resizing release Python's lock
    try:
        out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=film.shape)
        with tqdm(total=len(out), desc=f"decoding {camera}, once", unit="frame") as bar:

            def advance():
                if stopping.is_set():
                    raise InterruptedError("decoding was stopped")
                with lock:
                    bar.update()

            threads = max(1, THREADS // len(places))
            jobs = [
                pool.submit(_decode_file, file, camera, here, out, threads, recording, advance)
                for file, here in places.items()
            ]
            surplus = [message for job in as_completed(jobs) if (message := job.result())]
        if surplus:
            more = recording.version != "v3.0"
            what = "hold more frames than rows; the rest is left out"
            if not more:
                what = "hold just these episodes, taken in order, yet not at the times told"
            warnings.warn(f"{len(surplus)} files {what}: {surplus[0]}", stacklevel=4)
        out.flush()
        del out  # Windows cannot rename a file that is mapped
        os.replace(temporary, path)
    finally:
        stopping.set()  # after an error or a Ctrl-C nobody waits for the rest of a long video
        pool.shutdown(cancel_futures=True)
        Path(temporary).unlink(missing_ok=True)


def _content_key(spans: list[tuple[Span, int]], files: list[Path], camera: str, size: int) -> str:
    """A hash of everything the array depends on. It takes half a second per GB of source files."""

    def digest(file: Path) -> str:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    with ThreadPoolExecutor(THREADS) as pool:
        hashes = pool.map(digest, files)
        bar = tqdm(hashes, "checking files", len(files), delay=3, leave=False)
        digests = dict(zip(files, bar, strict=True))
    content = [(digests[s.file], s.first, s.begins, s.length, start) for s, start in spans]
    return hashlib.sha256(repr((RULE, camera, size, content)).encode()).hexdigest()[:16]
