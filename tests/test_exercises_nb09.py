"""Notebook 09's checks accept what is right and name the typical mistakes."""

import numpy as np
import pytest

from minipi0.exercises import check

ROWS = 40
TIMES = np.arange(ROWS) * 0.109 + 0.4 * (np.arange(ROWS) > 25)


def chunk(actions, frame, horizon):
    steps = frame + np.arange(horizon)
    return actions[np.minimum(steps, len(actions) - 1)], steps < len(actions)


def short(actions, frame, horizon):
    return actions[frame : frame + horizon], np.ones(horizon, bool)


def zeros(actions, frame, horizon):
    got, mask = chunk(actions, frame, horizon)
    return got * mask[:, None], mask


def next_frame(actions, frame, horizon):
    return chunk(actions, frame + 1, horizon)


def upside_down(actions, frame, horizon):
    got, mask = chunk(actions, frame, horizon)
    return got, ~mask


def all_real(actions, frame, horizon):
    return chunk(actions, frame, horizon)[0], np.ones(horizon, bool)


def wraps(actions, frame, horizon):
    steps = frame + np.arange(horizon)
    return actions[steps % len(actions)], steps < len(actions)


def stack(columns, names):
    return np.stack([columns[name] for name in names], axis=1)


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("09.1", (1.745, 2.04, 0.04)),
        ("09.1", (2 / 1.313**0.5, 2 / 0.98, 4 / 100)),
        ("09.2", chunk),
        ("09.3", (lambda row: row, ROWS)),
        ("09.3", (lambda row: np.int64(row), ROWS)),
        ("09.4", stack),
    ],
)
def test_right_answers(number, answer, capsys):
    assert check(number, answer), capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("09.1", (3.464, 2.04, 0.04), "without the outlier"),
        ("09.1", (0.02, 2.04, 0.04), "standard deviation of all values"),
        ("09.1", (2.3, 2.04, 0.04), "Divide 2 by its root"),
        ("09.1", (1.745, 0.04, 0.04), "stays where it was"),
        ("09.1", (1.745, 2.2, 0.04), "−0.98 and 0.98"),
        ("09.1", (1.745, 2.04, 0.02), "factor 2"),
        ("09.1", (1.745, 2.04, 1.0), "range is 100"),
        ("09.1", (float("nan"), 2.04, 0.04), "not all finite"),
        ("09.2", lambda actions, frame, horizon: actions, "return two things"),
        ("09.2", short, "pad at the end"),
        ("09.2", zeros, "zeros are a command"),
        ("09.2", next_frame, "begins with the action of the frame itself"),
        ("09.2", upside_down, "True is for real steps"),
        ("09.2", all_real, "steps are real; the mask says"),
        ("09.2", wraps, "the last action is repeated"),
        ("09.3", (lambda row: round(TIMES[row] * 10), ROWS), "Which number of a row"),
        ("09.3", (lambda row: round(TIMES[row] / 0.109) - 2 * (row > 25), ROWS), "gap"),
        ("09.3", (lambda row: row + 1, ROWS), "row 0 gets picture 1"),
        ("09.4", lambda columns, names: stack(columns, sorted(columns)), "alphabetical"),
        ("09.4", lambda columns, names: stack(columns, columns), "that of the file"),
        ("09.4", lambda columns, names: stack(columns, names).T, "axis=1"),
        ("09.4", lambda columns, names: stack(columns, names[::-1]), "in the order of `names`"),
        ("09.4", lambda columns, names: stack(columns, names[:2]), "expected shape"),
    ],
)
def test_typical_mistakes(number, answer, hint, capsys):
    assert not check(number, answer)
    assert hint in capsys.readouterr().out
