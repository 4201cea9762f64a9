"""Camera frames, decoded and resized once, kept on disk as one memory-mapped uint8 array per data set, camera and size.

Decoding 640x480 video takes milliseconds a frame, a look into the cache microseconds. The cache lies in `$MINIPI0_CACHE`, else in
the platform's cache folder for applications; a file's name holds a hash of the source files' content, so changed sources never
meet old frames, and it appears under its name only when it is complete. Delete the folder at any time.
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
RULE = 1  # counts up whenever decoding or resizing below changes: old caches are then not found


def load(recording: Recording, camera: str, size: int) -> np.ndarray:
    """All frames of a camera, (F, 3, S, S) uint8, padded to squares with black (0); memory-mapped, decoded on the first call only.

    Raises FileNotFoundError for a missing file; ValueError for a file that cannot be decoded, has fewer frames than the tables or runs
    at another rate (with file, expected and found), and for depth maps; OSError where the cache cannot be written or has no room.
    Warns of v2 videos with more frames than rows: the first ones are taken.
    """
    spans = [
        (episode.videos.get(camera, episode.rows), episode.start) for episode in recording.episodes
    ]
    files = sorted({span.file for span, _ in spans})
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing: fetch the data set with its videos, or load it with cameras=[]"
            )
    key = _content_key(spans, files, camera, size)
    path = (
        cache_folder()
        / "frames"
        / f"{recording.folder.name}-{camera}-{size}px-{key}.npy".replace(os.sep, "_")
    )
    shape = (len(recording.state), 3, size, size)
    cached = _open(path, shape)
    if cached is None:
        _build(path, shape, spans, camera, recording)
        cached = _open(path, shape)
    return cached


def resize_with_pad(image: Image.Image, size: int) -> np.ndarray:
    """The whole image in the middle of a black square: (3, S, S) uint8. Raises ValueError for more than 8 bits: a depth map."""
    if image.mode[0] in "IF":  # PIL would cut all above 255 off
        raise ValueError(
            f"an image of mode {image.mode}, more than 8 bits a value: a depth map? Name the cameras= to see without it"
        )
    image = image.convert("RGB")
    return _pad(np.asarray(image.resize(_fit(*image.size, size), Image.Resampling.BOX)), size)


def _fit(width: int, height: int, size: int) -> tuple[int, int]:
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _pad(pixels: np.ndarray, size: int) -> np.ndarray:
    """(h, w, 3) -> (3, S, S)"""
    height, width = pixels.shape[:2]
    top, left = (size - height) // 2, (size - width) // 2
    square = np.zeros((3, size, size), np.uint8)
    square[:, top : top + height, left : left + width] = pixels.transpose(2, 0, 1)
    return square


def _video(file: Path, size: int, threads: int) -> Iterator[tuple[np.ndarray, float | None]]:
    """The frames of a video in order of presentation, each (3, S, S) uint8, and when it is shown (s)."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        shrink = VideoReformatter()
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise ValueError("a frame is corrupt")
            width, height = _fit(frame.width, frame.height, size)
            # AREA averages what a pixel covers; to planar RGB, because packed RGB would halve the colours' resolution
            yield (
                _pad(
                    shrink.reformat(
                        frame, width, height, "gbrp", interpolation="AREA"
                    ).to_ndarray(),
                    size,
                ),
                frame.time,
            )


def _images(file: Path, camera: str, size: int) -> Iterator[tuple[np.ndarray, None]]:
    """The PNG or JPEG images of a parquet column in order, each (3, S, S) uint8; the column holds bytes or {"bytes", "path"}."""
    with pq.ParquetFile(file) as parquet:
        if camera not in parquet.schema_arrow.names:
            raise ValueError(
                f"it has no column {camera!r}, which info.json declares to hold images"
            )
        for batch in parquet.iter_batches(batch_size=64, columns=[camera]):
            for cell in batch.column(camera).to_pylist():
                data = cell.get("bytes") if isinstance(cell, dict) else cell
                if data is None:
                    raise ValueError(
                        f"a row of {camera!r} holds no image bytes, only the path {cell and cell.get('path')!r}"
                    )
                yield resize_with_pad(Image.open(io.BytesIO(data)), size), None


def _decode_file(
    file: Path,
    camera: str,
    places: list[tuple[Span, int]],
    out: np.ndarray,
    threads: int,
    recording,
    advance,
) -> str:
    """Write the frames of one file to their rows of `out` (F, 3, S, S). Returns a message where it has more frames than rows."""
    place_of = {
        span.first + k: (start + k, span.begins + k / recording.fps)
        for span, start in places
        for k in range(span.length)
    }
    if len(place_of) != sum(span.length for span, _ in places):
        raise ValueError(f"{file}: the metadata give the same frame to two episodes")
    size, expected, found, astray = out.shape[-1], max(place_of) + 1, 0, ""
    try:
        for picture, time in (
            _images(file, camera, size)
            if file.suffix == ".parquet"
            else _video(file, size, threads)
        ):
            if found in place_of:
                row, due = place_of[found]
                if time is not None and abs(time - due) * recording.fps > 0.51 and not astray:
                    astray = (
                        f"frame {found} is shown at {time:.3f} s, due is the one at {due:.3f} s"
                    )
                out[row] = picture
                advance()
            found += 1
    except (
        av.error.FFmpegError,
        ValueError,
        OSError,
        IndexError,
    ) as error:  # IndexError: no video stream
        message = f"{file} cannot be decoded at frame {found}, perhaps it is truncated: fetch it again ({error})"
        raise ValueError(message) from error
    if found < expected:
        raise ValueError(
            f"{file}: expected {expected} frames as the tables say, found {found}: fetch it again, or remove the episode"
        )
    # v2: one frame per row, whatever the clock says. v3.0: from_timestamp says where an episode begins, so the clock must agree,
    # and there may be frames between and after the episodes (deleted ones).
    by_count = recording.version != "v3.0"
    if astray and (found > expected or not by_count):
        raise ValueError(
            f"{file}: {found} frames for {expected} rows at {recording.fps:g} a second, but {astray}: another frame rate?"
        )
    return f"{file}: {found} frames for {expected} rows" if by_count and found > expected else ""


def _build(
    path: Path,
    shape: tuple[int, ...],
    spans: list[tuple[Span, int]],
    camera: str,
    recording: Recording,
) -> None:
    """Decode everything into a temporary file, then give it its name in one step: other processes see all of it or nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=".part", prefix=path.stem, dir=path.parent)
    except OSError as error:
        raise OSError(
            f"decoded frames cannot be kept in {path.parent} ({error}): set MINIPI0_CACHE to a folder to write to"
        ) from error
    os.close(handle)
    places: dict[Path, list] = {}
    for span, start in spans:
        places.setdefault(span.file, []).append((span, start))
    lock, stopping = threading.Lock(), threading.Event()
    pool = ThreadPoolExecutor(
        THREADS
    )  # threads suffice: decoding and resizing release Python's lock
    try:
        need, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
        if need > free:  # a memory map that runs out of disk kills the process, so look first
            gigabytes = f"{need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
            raise OSError(
                f"the frame cache in {path.parent} needs {gigabytes}: set MINIPI0_CACHE to a larger disk"
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
                f"{len(surplus)} files hold more frames than rows; the rest is left out: {surplus[0]}",
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
    """A hash of everything the cached array depends on; about half a second per GB of source files."""

    def digest(file: Path) -> str:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    with ThreadPoolExecutor(THREADS) as pool:
        digests = dict(
            zip(
                files,
                tqdm(pool.map(digest, files), "checking files", len(files), delay=3, leave=False),
                strict=True,
            )
        )
    content = [(digests[span.file], span.first, span.length, start) for span, start in spans]
    return hashlib.sha256(repr((RULE, camera, size, content)).encode()).hexdigest()[:16]
