"""Camera frames, decoded and resized once, then kept on disk.

Each data set, camera and size has one memory-mapped uint8 array. Decoding 640x480 video takes
milliseconds a frame, reading the array microseconds.
The arrays lie in `$MINIPI0_CACHE`, else in the platform's cache folder for applications. Their
names hold a hash of the source files' content, so changed sources never meet old frames. An array
gets its name only when it is complete. Delete the folder at any time.
Axes: F frames of the whole data set, S the image size in pixels.
"""

import hashlib
import io
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
from av.video.reformatter import VideoReformatter
from PIL import Image
from tqdm.auto import tqdm

from minipi0.data.lerobot import Recording, Span
from minipi0.data.sources import cache_folder

THREADS = 2
RULE = 1  # raise it whenever decoding or resizing changes: old arrays are then not found


def load(recording: Recording, camera: str, size: int) -> np.ndarray:
    """All frames of a camera, uint8[F, 3, S, S], padded to squares with black (0).

    The first call decodes them; every call returns the memory-mapped array.
    Raises FileNotFoundError for a missing file. Raises ValueError for a file that cannot be
    decoded, has fewer frames than the tables or runs at another rate (with file, expected and
    found), and for depth maps. Raises OSError where the cache cannot be written or has no room.
    Warns of v2 videos with more frames than rows: the first ones are taken.
    """
    spans = [(one.videos.get(camera, one.rows), one.start) for one in recording.episodes]
    files = sorted({span.file for span, _ in spans})
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing: fetch the data set with its videos, or load it with cameras=[]"
            )
    key = _content_key(spans, files, camera, size)
    name = f"{recording.folder.name}-{camera}-{size}px-{key}.npy"
    path = cache_folder() / "frames" / name.replace(os.sep, "_")
    shape = (len(recording.state), 3, size, size)
    cached = _open(path, shape)
    if cached is None:
        _build(path, shape, spans, camera, recording)
        cached = _open(path, shape)
    return cached


def resize_with_pad(image: Image.Image, size: int) -> np.ndarray:
    """The whole image in the middle of a black square, uint8[3, S, S].

    Raises ValueError for an image of more than 8 bits: a depth map.
    """
    if image.mode[0] in "IF":  # PIL would cut all above 255 off
        raise ValueError(
            f"an image of mode {image.mode}, more than 8 bits a value: a depth map? "
            "Name the cameras= to see without it"
        )
    image = image.convert("RGB")
    return _pad(np.asarray(image.resize(_fit(*image.size, size), Image.Resampling.BOX)), size)


def _fit(width: int, height: int, size: int) -> tuple[int, int]:
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _pad(pixels: np.ndarray, size: int) -> np.ndarray:
    """uint8[h, w, 3] -> uint8[3, S, S]"""
    height, width = pixels.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    square = np.zeros((3, size, size), np.uint8)
    square[:, top : top + height, left : left + width] = pixels.transpose(2, 0, 1)
    return square


def _video(file: Path, size: int, threads: int) -> Iterator[tuple[np.ndarray, float | None]]:
    """A video's frames in order of presentation: uint8[3, S, S] and when it is shown (s)."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        shrink = VideoReformatter()
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise ValueError("a frame is corrupt")
            width, height = _fit(frame.width, frame.height, size)
            # AREA averages what a pixel covers; gbrp, planar RGB: packed would halve the colours'
            # resolution
            small = shrink.reformat(frame, width, height, "gbrp", interpolation="AREA")
            yield _pad(small.to_ndarray(), size), frame.time


def _images(file: Path, camera: str, size: int) -> Iterator[tuple[np.ndarray, None]]:
    """The PNG or JPEG images of a parquet column in order, each uint8[3, S, S].

    A cell of the column holds the file's bytes, or {"bytes": …, "path": …}.
    """
    with pq.ParquetFile(file) as parquet:
        if camera not in parquet.schema_arrow.names:
            raise ValueError(f"it has no column {camera!r}, which info.json declares as images")
        for batch in parquet.iter_batches(batch_size=64, columns=[camera]):
            for cell in batch.column(camera).to_pylist():
                data = cell.get("bytes") if isinstance(cell, dict) else cell
                if data is None:
                    path = cell and cell.get("path")
                    raise ValueError(
                        f"a row of {camera!r} holds no image bytes, only the path {path!r}"
                    )
                yield resize_with_pad(Image.open(io.BytesIO(data)), size), None


def _decode_file(
    file: Path, camera: str, places: list[tuple[Span, int]], out, threads: int, recording, advance
) -> str:
    """Write the frames of one file to their rows of `out`, uint8[F, 3, S, S].

    places: the episodes of the file, and the first row of each in `out`.
    advance: called after every frame.
    Returns a message where the file has more frames than the tables have rows, else "".
    """
    fps, place_of = recording.fps, {}  # frame in the file -> row of `out`, due time in seconds
    for span, start in places:
        for k in range(span.length):
            place_of[span.first + k] = (start + k, span.begins + k / fps)
    if len(place_of) != sum(span.length for span, _ in places):
        raise ValueError(f"{file}: the metadata give the same frame to two episodes")
    size, expected, found, astray = out.shape[-1], max(place_of) + 1, 0, ""
    in_table = file.suffix == ".parquet"
    pictures = _images(file, camera, size) if in_table else _video(file, size, threads)
    try:
        for picture, time in pictures:
            if found in place_of:
                row, due = place_of[found]
                if time is not None and abs(time - due) * fps > 0.51 and not astray:
                    shown = f"frame {found} is shown at {time:.3f} s"
                    astray = f"{shown}, due is the one at {due:.3f} s"
                out[row] = picture
                advance()
            found += 1
    except (av.error.FFmpegError, ValueError, OSError, IndexError) as error:  # Index: no stream
        raise ValueError(
            f"{file} cannot be decoded at frame {found}, perhaps it is truncated: "
            f"fetch it again ({error})"
        ) from error
    if found < expected:
        raise ValueError(
            f"{file}: expected {expected} frames as the tables say, found {found}: "
            "fetch it again, or remove the episode"
        )
    # v2: one frame per row, whatever the clock says. v3.0: from_timestamp says where an episode
    # begins, so the clock must agree; deleted frames may lie between and after the episodes.
    by_count = recording.version != "v3.0"
    counts = f"{file}: {found} frames for {expected} rows"
    if astray and (found > expected or not by_count):
        raise ValueError(f"{counts} at {fps:g} a second, but {astray}: another frame rate?")
    return counts if by_count and found > expected else ""


def _build(path: Path, shape: tuple[int, ...], spans, camera: str, recording: Recording) -> None:
    """Decode everything into a temporary file, then give it its name in one step.

    spans: list of (Span, first row in the array).
    Other processes see the whole array or nothing.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=".part", prefix=path.stem, dir=path.parent)
    except OSError as error:
        raise OSError(
            f"decoded frames cannot be kept in {path.parent} ({error}): "
            "set MINIPI0_CACHE to a folder to write to"
        ) from error
    os.close(handle)
    places: dict[Path, list] = {}
    for span, start in spans:
        places.setdefault(span.file, []).append((span, start))
    lock, stopping = threading.Lock(), threading.Event()
    pool = ThreadPoolExecutor(THREADS)  # decoding and resizing release Python's lock
    try:
        need, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
        if need > free:  # a memory map that runs out of disk kills the process: check before
            raise OSError(
                f"the frame cache in {path.parent} needs {need / 1e9:.1f} GB, and "
                f"{free / 1e9:.1f} GB are free: set MINIPI0_CACHE to a larger disk"
            )
        out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        with tqdm(total=shape[0], desc=f"decoding {camera}, once", unit="frame") as bar:

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
            warnings.warn(
                f"{len(surplus)} files hold more frames than rows; the rest is left out: "
                f"{surplus[0]}",
                stacklevel=4,
            )
        out.flush()
        del out  # Windows cannot rename a file that is mapped
        os.replace(temporary, path)
    finally:
        stopping.set()  # after an error or a Ctrl-C nobody waits for the rest of a long video
        pool.shutdown(cancel_futures=True)
        Path(temporary).unlink(missing_ok=True)


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The cached frames, or None where there are none (or a disk fault left fewer)."""
    try:
        cached = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return cached if cached.shape == shape and cached.dtype == np.uint8 else None


def _content_key(spans: list[tuple[Span, int]], files: list[Path], camera: str, size: int) -> str:
    """A hash of everything the array depends on. It takes half a second per GB of source files."""

    def digest(file: Path) -> str:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    with ThreadPoolExecutor(THREADS) as pool:
        hashes = pool.map(digest, files)
        bar = tqdm(hashes, "checking files", len(files), delay=3, leave=False)
        digests = dict(zip(files, bar, strict=True))
    content = [(digests[span.file], span.first, span.length, start) for span, start in spans]
    return hashlib.sha256(repr((RULE, camera, size, content)).encode()).hexdigest()[:16]
