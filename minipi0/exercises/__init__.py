"""The checks behind the notebooks' exercises: `check("01.2", answer)` says whether it is right, and
if not, what is wrong.

A module a notebook (`nb01.py`, ...): a function per exercise, decorated with `@exercise("01.2")`,
takes the reader's answer and returns None when it is right or a sentence that tells what is wrong
(a hint, not the solution). Solutions stand folded in the notebooks and are run with them.
"""

import functools
import importlib
import types
from collections.abc import Callable

from minipi0.exercises.answers import Wrong

_checks: dict[str, Callable] = {}


class _NotTried(Exception):
    pass


def exercise(number: str):
    """Register the decorated function as the check of exercise `number` ("NN.k")."""

    def register(function):
        _checks[number] = function
        return function

    return register


def check(number: str, answer=..., solution: bool = False) -> bool:
    """Print whether `answer` solves exercise `number`; returns True when it does.

    An answer still left as `...`, or a function that still returns it, is not wrong, only not tried
    yet. Raises KeyError for an unknown number.

    solution: the answer is the notebook's own, so no reader is told that they are right.
    """
    if number not in _checks:
        importlib.import_module(f"minipi0.exercises.nb{number.split('.')[0]}")
    judge = _checks[number]
    try:
        wrong = judge(_tried(... if answer is None else answer))
    except _NotTried:
        print(
            f"Exercise {number}: not tried yet. Replace the ... "
            "above, run its cell, then this one again."
        )
        return False
    except Wrong as error:
        wrong = str(error)
    # the reader's own code may raise anything: show it as an answer, not as a traceback
    except Exception as error:
        wrong = f"your code stopped with {type(error).__name__}: {error}"
        if not callable(answer) and "not callable" in str(error):
            wrong = "answer with the function itself, not with what it returns"
    right = f"Solution {number} passes the check." if solution else f"✓ Exercise {number}: right."
    print(f"✗ Exercise {number}: {wrong}" if wrong else right)
    return not wrong


def _tried(answer):
    """The answer; if it is a function, one that raises _NotTried when it, or a function it returns,
    still returns `...`.
    """
    if answer is ...:
        raise _NotTried
    if not isinstance(answer, types.FunctionType):
        return answer
    return functools.wraps(answer)(lambda *args, **kwargs: _tried(answer(*args, **kwargs)))
