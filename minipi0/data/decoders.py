"""Pictures out of files, one after the other: of videos, and of columns of tables."""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from av.video.reformatter import VideoReformatter
from PIL import Image

from minipi0.data.features import depth_format
from minipi0.data.pictures import NoColours, fit, pad, resize_with_pad
from minipi0.data.tables import matrix, parquet_file


class Contradiction(ValueError):
    """A file that is whole and is not as the metadata say."""


def video(file: Path, size: int, threads: int) -> Iterator[tuple[np.ndarray, float | None]]:
    """A video's frames in order of presentation: uint8[3, S, S] and when it is shown (s)."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        if why := depth_format(stream.format and stream.format.name):
            raise NoColours(f"{why}, no colour picture: name the cameras= to see without it")
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        shrink = VideoReformatter()
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise ValueError("a frame is corrupt")
            width, height = fit(frame.width, frame.height, size)
            # gbrp, planar RGB: packed would halve the colours' resolution
            small = shrink.reformat(frame, width, height, "gbrp", interpolation="BILINEAR")
            yield pad(small.to_ndarray(), size), frame.time


def times_of(file: Path) -> list[float] | None:
    """When the frames of a video are shown (s), ascending, without decoding; None: it tells not."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        if any(packet.pts is None for packet in packets):
            return None
        return sorted(float(packet.pts * packet.time_base) for packet in packets)


def images(file: Path, camera: str, size: int, shape) -> Iterator[tuple[np.ndarray, None]]:
    """The images of a parquet column in order, each uint8[3, S, S].

    A cell of the column holds the bytes of a PNG or JPEG file, or {"bytes": …, "path": …}, or the
    pixels themselves, whose shape info.json declares: (H, W, 3) or (3, H, W), as whole numbers up
    to 255 or as fractions of 1.
    """
    with parquet_file(file) as parquet:
        if camera not in parquet.schema_arrow.names:
            raise Contradiction(
                f"it has no column {camera!r}, which info.json declares as images: name other "
                "cameras="
            )
        kind, types = parquet.schema_arrow.field(camera).type, pa.types
        coded = any(is_(kind) for is_ in (types.is_struct, types.is_binary, types.is_large_binary))
        white = 1 if types.is_floating(_innermost(kind)) else 255
        for batch in parquet.iter_batches(batch_size=64 if coded else 8, columns=[camera]):
            column = batch.column(camera)
            if not coded:
                where = f"the column {camera!r}"
                try:
                    pixels = matrix(pa.chunked_array([column]), shape or [], where)
                except ValueError as error:
                    cells = "its cells hold the bytes of PNG or JPEG files, or pixels"
                    raise Contradiction(f"{error}, or name other cameras= ({cells})") from error
                if not (0 <= pixels.min() and pixels.max() <= white):
                    raise NoColours(
                        f"{where} holds values from {pixels.min():g} to {pixels.max():g}, no "
                        "colours (whole numbers from 0 to 255, or fractions from 0 to 1): name the "
                        "cameras= to see without it"
                    )
                pixels = (pixels * (255 / white) + 0.5).astype(np.uint8)
                for one in pixels.reshape(len(pixels), *shape):
                    yield resize_with_pad(one, size), None
                continue
            for cell in column.to_pylist():
                data = cell.get("bytes") if isinstance(cell, dict) else cell
                if data is None:
                    path = cell and cell.get("path")
                    raise Contradiction(
                        f"a row of {camera!r} holds no image bytes, only the path {path!r}: write "
                        "the images into the tables, or name other cameras="
                    )
                yield resize_with_pad(Image.open(io.BytesIO(data)), size), None


def _innermost(kind: pa.DataType) -> pa.DataType:
    """The type of the values in lists of any depth."""
    kind = getattr(kind, "storage_type", kind)  # of a tensor type: lists underneath
    while hasattr(kind, "value_type"):
        kind = kind.value_type
    return kind
