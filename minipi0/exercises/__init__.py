"""The checks behind the notebooks' exercises: `check("01.2", answer)` says whether it is right, and if not, what is wrong.

A module a notebook (`nb01.py`, ...): a function per exercise, decorated with `@exercise("01.2")`, takes the reader's answer
and returns None when it is right or a sentence that tells what is wrong (a hint, not the solution). Solutions stand folded
in the notebooks and are run with them.
"""

import importlib
from collections.abc import Callable

_checks: dict[str, Callable] = {}


def exercise(number: str):
    """Register the decorated function as the check of exercise `number` ("NN.k")."""

    def register(function):
        _checks[number] = function
        return function

    return register


def check(number: str, answer=...) -> bool:
    """Print whether `answer` solves exercise `number`; returns True when it does.

    An answer still left as `...` is not wrong, only not tried yet. Raises KeyError for an unknown number.
    """
    if number not in _checks:
        importlib.import_module(f"minipi0.exercises.nb{number.split('.')[0]}")
    judge = _checks[number]
    if answer is ... or answer is None:
        print(f"Exercise {number}: not tried yet. Replace the ... above, run its cell, then this one again.")
        return False
    try:
        wrong = judge(answer)
    except Exception as error:  # the reader's own code may raise anything: show it as an answer, not as a traceback
        wrong = f"your code stopped with {type(error).__name__}: {error}"
    print(f"✗ Exercise {number}: {wrong}" if wrong else f"✓ Exercise {number}: right.")
    return not wrong
