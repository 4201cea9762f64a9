"""The rows of an episode in a table: found, complete, and in the order of time."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from minipi0.data.places import Place
from minipi0.data.tables import errors_name, integers, parquet_files, seconds, table

CLOCKS = ("index", "timestamp")  # what tells the order of rows that are not numbered


def where_held(places: list[Place], folder: Path) -> list[Place]:
    """v3.0: every episode in the table that holds its rows.

    Converters and merging tools wrote lists that name another table. An episode that no table or
    several tables hold stays where the list has it.
    Warns of the episodes that lie elsewhere.
    """
    holds = {file: _episodes_in(file) for file in {place.file for place in places}}
    astray = [place for place in places if place.index not in holds[place.file]]
    if not astray:
        return places
    others = [file for file in parquet_files(folder / "data") if file not in holds]
    holds |= {file: _episodes_in(file) for file in others}
    found = {}
    for place in astray:
        files = [file for file, episodes in holds.items() if place.index in episodes]
        if len(files) == 1:
            found[place.index] = replace(place, file=files[0])
    if found:
        first = found[min(found)]
        warnings.warn(
            f"{folder}: meta/episodes names another table than holds the rows of {len(found)} "
            f"episodes, which are read where they are (episode {first.index}: {first.file})",
            stacklevel=5,
        )
    return [found.get(place.index, place) for place in places]


def _episodes_in(file: Path) -> set[int]:
    """The episodes that a table holds; none where it cannot be read: who reads all of it tells."""
    try:
        with errors_name(file):
            rows = table(file, ["episode_index"])
            return set(integers(rows, "episode_index", file).tolist())
    except (OSError, ValueError):
        return set()


def episode_of(whole: pa.Table, place: Place, info: dict) -> np.ndarray:
    """Which episode each row of a file belongs to; in v2 the file's name tells it too."""
    if "episode_index" in whole.column_names:
        return integers(whole, "episode_index", place.file)
    if info["codebase_version"] == "v3.0":
        raise ValueError(f"{place.file} has no column 'episode_index': add it, or fetch it again")
    return np.full(len(whole), place.index)


def rows_of(whole: pa.Table, whose: np.ndarray, place: Place) -> tuple[int, pa.Table, int]:
    """The episode's first row in its file, its rows, and the number of the first (frame_index).

    whose: the episode of each row. Raises ValueError unless the rows are complete and in order.
    """
    mine, length = np.flatnonzero(whose == place.index), place.length
    if not length:
        raise ValueError(
            f"{place.file}: episode {place.index} has no frames as the metadata say: leave it out "
            f"with without=[{place.index}]"
        )
    if not 0 < length == len(mine) == mine[-1] - mine[0] + 1:
        found = f"{len(mine)}{' or others between them' if len(mine) == length else ''}"
        do = "fetch it again"
        if not len(mine) and len(whose) == length:
            do = f"its rows say episode_index {whose[0]}: correct that column"
        elif 0 < len(mine) != length:
            do += ", correct the length in meta/ where the table is right"
        raise ValueError(
            f"{place.file}: expected {length} rows of episode {place.index} as the metadata say, "
            f"found {found}: {do}, or leave the episode out (without=)"
        )
    rows = whole.slice(mine[0], length)
    return int(mine[0]), rows, _number(rows, place)


def _number(rows: pa.Table, place: Place) -> int:
    """The frame_index of the first row, 0 where there is none. Raises ValueError unless the rows
    are in the order of time.
    """
    where = f"{place.file}: the frames of episode {place.index}"
    if "frame_index" in rows.column_names:
        numbers = integers(rows, "frame_index", place.file)
        wrong = np.flatnonzero(np.diff(numbers) != 1)
        if len(wrong):
            before, after = numbers[wrong[0] : wrong[0] + 2]
            raise ValueError(
                f"{where} are not numbered 0 … {len(rows) - 1} in that order (frame_index goes "
                f"from {before} to {after}): sort the rows; where frames were taken out, take them "
                "out of the videos too and number the rows anew; or leave the episode out "
                "(without=)"
            )
        return int(numbers[0])
    clocks = [name for name in CLOCKS if name in rows.column_names]
    if not clocks:
        raise ValueError(f"{where} have no frame_index, index or timestamp: add a frame_index")
    times = (seconds(rows[name], f"{place.file}: {name!r}") for name in clocks)
    ascends = [np.diff(one) > 0 for one in times]  # GR00T's files number no frame
    if not any(one.all() for one in ascends):
        raise ValueError(
            f"{where} have no frame_index, and their {clocks[0]} does not ascend after frame "
            f"{ascends[0].argmin()}: sort the rows, or leave the episode out (without=)"
        )
    return 0
