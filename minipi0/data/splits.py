"""Which episodes are held out: spread over the recording, drawn by a seed, the same everywhere.

A data set's own splits are told, and not used.
"""

import hashlib

import numpy as np


def held_out(count: int, every: int | None, seed: int | str = 0) -> np.ndarray:
    """Which of `count` episodes are held out, bool[count].

    One of every `every` in a row is, drawn by its number and the seed alone: adding episodes at the
    end changes nothing before. An odd first or last episode is no likelier than another.

    every: None holds none out. seed: a number; or "first", the first of every `every`.
    Where the draws leave no episode held out, one of all is drawn.
    """
    found = np.zeros(count, bool)
    if every is None:
        return found
    if seed == "first":
        found[::every] = True
        return found
    for begin in range(0, count, every):
        place = begin + _draw(seed, begin // every, every)
        if place < count:
            found[place] = True
    if not found.any():
        found[_draw(seed, -1, count)] = True
    return found


def own_splits(info: dict) -> str:
    """The splits that meta/info.json names, in words; "" where it names fewer than two."""
    named = info.get("splits")
    if not isinstance(named, dict) or len(named) < 2:
        return ""
    return ", ".join(f"{name} {which}" for name, which in named.items())


def _draw(seed: int, block: int, choices: int) -> int:
    """A number below `choices`: no library's generator, which may change between versions."""
    digest = hashlib.sha256(f"{seed} {block}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % choices
