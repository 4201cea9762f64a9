"""Files of a data set as numbers. Whatever is wrong with one is said with its name and a remedy.

JSON, lists of JSON lines, and parquet columns of numbers, however they are nested.
"""

import json
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

STAND_INS = {  # how a file begins that only stands for another -> what it is, what to do
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: run `git lfs pull` there",
    b"/annex/objects/": "a git-annex pointer, not the file itself: run `git annex get` there",
    b"<!doctype html": "a web page, not the file itself: download the raw file",
    b"<html": "a web page, not the file itself: download the raw file",
}


def stand_in(file: Path) -> str:
    """What a file is that only stands for another, and what to do; "" for any other file."""
    try:
        with file.open("rb") as stream:
            start = stream.read(64).lstrip().lower()
    except OSError:
        return ""
    return next((what for begin, what in STAND_INS.items() if start.startswith(begin)), "")


def fault(file: Path, error: Exception) -> str:
    """What is known of a file that cannot be read, beyond the error, and what to do; else ""."""
    if what := stand_in(file):
        return f"is {what}"
    if isinstance(error, UnicodeDecodeError):
        return f"is no text in UTF-8 ({error}): save it in that encoding, or fetch it again"
    if "CRC checksum" in str(error):
        return (
            "changed since it was written (one of its pages has another checksum): was it damaged "
            "on its disk or in a copy? Take another copy"
        )
    return ""


class Told(ValueError):
    """An error that says all: which file, what is wrong, and what to do."""


@contextmanager
def errors_name(file: Path):
    """Whatever goes wrong inside says which file it was and what to do."""
    try:
        yield
    except Told:
        raise
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{file} is missing: fetch the data set again, or restore the file"
        ) from None
    except KeyError as error:
        raise Told(
            f"{file} has no {error.args[0]!r}, which a LeRobot data set has there: "
            "add it, or fetch the file again"
        ) from error
    except (TypeError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        raise Told(
            f"{file} does not hold what a LeRobot data set has there ({error}): "
            "compare it with a data set that loads, or fetch the file again"
        ) from error
    except (ValueError, OSError, pa.ArrowException) as error:  # JSON's are ValueErrors
        if what := fault(file, error):
            raise Told(f"{file} {what}") from error
        raise Told(
            f"{file} cannot be read, perhaps it is truncated: fetch it again ({error})"
        ) from error


def json_file(file: Path):
    """What a JSON file holds."""
    with errors_name(file):
        return json.loads(file.read_text(encoding="utf-8-sig"))  # some editors begin with a mark


def json_lines(file: Path) -> list[dict]:
    """What each line of a .jsonl file holds."""
    with errors_name(file):
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # a text may hold other breaks
        return [json.loads(line) for line in lines if line.strip()]


def parquet_files(folder: Path) -> list[Path]:
    """All parquet files in a folder, at any depth, but for what macOS puts beside them (._NAME)."""
    return sorted(file for file in folder.glob("**/*.parquet") if not file.name.startswith("."))


def parquet_file(file: Path) -> pq.ParquetFile:
    """A parquet file whose pages are compared to their checksums, where they have any."""
    return pq.ParquetFile(file, page_checksum_verification=True)


def table(file: Path, columns=None, optional: Iterable[str] = ()) -> pa.Table:
    """Read a parquet file.

    columns: a list of names, a function that picks names, or None for all.
    optional: columns to read where the file has them.
    """
    with errors_name(file), parquet_file(file) as parquet:
        present = parquet.schema_arrow.names
        if callable(columns):
            columns = [name for name in present if columns(name)]
        missing = [name for name in columns or [] if name not in present]
        if missing:
            raise Told(
                f"{file} has no column {missing[0]!r}, which info.json declares; it has "
                f"{', '.join(present)}: choose another feature, or fetch the file again"
            )
        twice = [name for name in columns or [] if present.count(name) > 1]
        if twice:
            raise Told(f"{file} has the column {twice[0]!r} twice: keep the right one")
        if columns is not None:
            columns = [*columns, *(name for name in optional if name in present)]
        return parquet.read(columns)


def integers(rows: pa.Table, name: str, file: Path) -> np.ndarray:
    """A column of whole numbers, (rows,) int64."""
    if rows[name].null_count:
        raise ValueError(f"{file}: {name!r} has empty cells: write the numbers there")
    return matrix(rows[name], [1], f"{file}: {name!r}", np.int64)[:, 0]


def seconds(column: pa.ChunkedArray, where: str) -> np.ndarray:
    """A column of times, (rows,) float64: numbers, lists of one number, or dates."""
    kind = column.type
    if any(is_time(kind) for is_time in (pa.types.is_timestamp, pa.types.is_duration)):
        per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        return matrix(column.cast(pa.int64()), [1], where, np.float64)[:, 0] / per_second
    return matrix(column, [1], where, np.float64)[:, 0]


def matrix(
    column: pa.ChunkedArray, shape: list[int] | None, where: str, dtype=np.float32
) -> np.ndarray:
    """A column of numbers, or of lists of them nested to any depth, as (rows, values per row).

    shape: as info.json declares it; None: any. where: the file and the column, for messages.
    Raises ValueError for rows of different lengths, another shape, and what is no number.
    """
    values, found, types = column.combine_chunks(), [], pa.types
    if isinstance(values, pa.ExtensionArray):  # a tensor type: lists underneath
        values = values.storage
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    while any(is_list(values.type) for is_list in lists):
        lengths = pc.unique(pc.list_value_length(values)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise ValueError(
                f"{where} has rows of different or missing lengths {sorted(lengths, key=str)}, "
                f"info.json declares {shape}: repair those rows, or leave the episode out"
            )
        found.append(lengths[0])
        values = values.flatten()
    if types.is_dictionary(values.type):  # pandas' categories
        values = values.dictionary_decode()
    if types.is_decimal(values.type):
        values = values.cast(pa.float64())
    numbers = (types.is_floating, types.is_integer, types.is_boolean)
    if not any(is_number(values.type) for is_number in numbers):
        raise ValueError(f"{where} holds {values.type}, not numbers: choose another feature")
    width = int(np.prod(found))
    if shape is not None and width != int(np.prod(shape)):
        raise ValueError(
            f"{where} has shape {found or [1]} in the table, but info.json declares {list(shape)}: "
            "correct the shape there"
        )
    with np.errstate(all="ignore"):  # too large for float32: infinite, and refused as such
        return values.to_numpy(zero_copy_only=False).astype(dtype).reshape(len(column), width)
