"""How the checks read a reader's numbers and compare them."""

import json
import math
from pathlib import Path

COUNT = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Wrong(Exception):
    """What is wrong with an answer, as a sentence; `check` prints it."""


def numbers(answer, names: str, count: int | None = None, whole: bool = False) -> list:
    """The answer as a list of finite floats, or of ints if they are to be `whole`.

    answer: a number, or some of them in a list, tuple, array or tensor
    names: what they are, separated by commas
    count: how many, if not one per name

    Raises Wrong, which tells the reader what was expected.
    """
    count = count or names.count(",") + 1
    try:
        parts = list(answer.flatten() if hasattr(answer, "flatten") else answer)
    except TypeError:
        parts = [answer]
    try:
        values = [] if isinstance(answer, str) else [float(part) for part in parts]
    except (TypeError, ValueError):
        values = []
    if values and not all(map(math.isfinite, values)):
        raise Wrong(f"{values} are not all finite numbers")
    if len(values) != count or (whole and any(value % 1 for value in values)):
        kind = "whole number" if whole else "number"
        raise Wrong(f"give {COUNT[count]} {kind}{'s' * (count > 1)}: {names}")
    return [int(value) for value in values] if whole else values


def near(a, b, tolerance: float = 1e-3) -> bool:
    return abs(float(a) - b) <= tolerance


def measured(name: str) -> dict:
    """What a notebook's measuring command wrote, "06_roads.json": beside the notebook that runs, or
    in this repository.
    """
    file = Path("results") / name
    if not file.exists():
        file = Path(__file__).parents[2] / "notebooks" / "results" / name
    return json.loads(file.read_text())
