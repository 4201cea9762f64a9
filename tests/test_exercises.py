"""The machinery behind the exercises: right, wrong, broken, not tried, unknown."""

import numpy as np
import pytest
import torch

from minipi0 import exercises
from minipi0.exercises.answers import Wrong, numbers


@pytest.fixture
def number():
    @exercises.exercise("99.1")
    def one(answer):
        return None if answer == 42 else f"{answer} is not 42"

    yield "99.1"
    del exercises._checks["99.1"]


def test_a_right_answer(number, capsys):
    assert exercises.check(number, 42) is True
    assert capsys.readouterr().out == "✓ Exercise 99.1: right.\n"


def test_a_solution_passes_but_nobody_is_told_that_they_are_right(number, capsys):
    assert exercises.check(number, 42, solution=True) is True
    assert capsys.readouterr().out == "Solution 99.1 passes the check.\n"
    assert exercises.check(number, 41, solution=True) is False
    assert capsys.readouterr().out == "✗ Exercise 99.1: 41 is not 42\n"


def test_a_wrong_answer_is_told_why(number, capsys):
    assert exercises.check(number, 41) is False
    assert capsys.readouterr().out == "✗ Exercise 99.1: 41 is not 42\n"


@pytest.mark.parametrize("untouched", [..., None])
def test_an_untouched_answer_is_not_wrong(number, capsys, untouched):
    assert exercises.check(number, untouched) is False
    assert "not tried yet" in capsys.readouterr().out


def test_the_answers_own_error_is_shown_not_raised(capsys):
    @exercises.exercise("99.2")
    def calls_the_answer(answer):
        answer(0)

    try:
        assert exercises.check("99.2", lambda x: 1 / x) is False
        assert (
            "your code stopped with ZeroDivisionError: division by zero" in capsys.readouterr().out
        )
    finally:
        del exercises._checks["99.2"]


@pytest.fixture
def function_number():
    @exercises.exercise("99.3")
    def calls_what_the_answer_returns(answer):
        return None if answer(1)(2) == 3 else "not 3"

    yield "99.3"
    del exercises._checks["99.3"]


@pytest.mark.parametrize("answer", [lambda a: ..., lambda a: lambda b: ...])
def test_a_function_left_open_is_not_wrong(function_number, capsys, answer):
    assert exercises.check(function_number, answer) is False
    assert "not tried yet" in capsys.readouterr().out


def test_a_function_is_called_as_it_is(function_number, capsys):
    assert exercises.check(function_number, lambda a: lambda b: a + b) is True
    assert exercises.check(function_number, 3) is False
    assert "the function itself" in capsys.readouterr().out


def test_an_unknown_exercise_of_a_known_notebook():
    with pytest.raises(KeyError):
        exercises.check("01.99", 1)


def test_an_unknown_notebook():
    with pytest.raises((KeyError, ModuleNotFoundError)):
        exercises.check("98.1", 1)


def test_numbers_come_from_whatever_holds_them():
    for answer in ((1, 2), [1.0, "2"], np.array([1, 2]), torch.tensor([[1.0, 2.0]]), {1: 0, 2: 0}):
        assert numbers(answer, "a, b") == [1, 2]
    for answer in (3, 3.0, torch.tensor(3), np.float32(3), [3]):
        assert numbers(answer, "a", whole=True) == [3]
    assert numbers(range(10), "one per token", count=10) == list(range(10))


@pytest.mark.parametrize(
    ("answer", "options", "message"),
    [
        (1, {}, "give two numbers: a, b"),
        ("12", {}, "give two numbers: a, b"),
        ((1, None), {}, "give two numbers: a, b"),
        (print, {}, "give two numbers: a, b"),
        ((1, 2.5), {"whole": True}, "give two whole numbers: a, b"),
        ((1, float("inf")), {}, "not all finite"),
        ((1, 2), {"count": 3}, "give three numbers"),
    ],
)
def test_other_answers_are_told_what_was_expected(answer, options, message):
    with pytest.raises(Wrong, match=message):
        numbers(answer, "a, b", **options)
