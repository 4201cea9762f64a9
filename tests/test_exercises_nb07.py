"""Notebook 07's checks: right answers pass, each typical mistake is named."""

import torch
from answers import refused

from minipi0.exercises import check
from minipi0.exercises.nb07 import shares, stored


def test_shares_follow_the_power():
    assert shares([50, 4], 1).tolist() == [50 / 54, 4 / 54]
    assert shares([50, 4], 0).tolist() == [0.5, 0.5]
    assert 4 / 54 < shares([50, 4], 0.43)[1] < 0.5


def test_how_much_more_often(capsys):
    assert check("07.1", (50 / 4) ** 0.57)
    for answer, words in [
        ((50 / 4) ** 0.43, "one demonstration"),
        ((4 / 50) ** 0.57, "turn it round"),
        (12.5, "n**0"),
        (1.0, "n**1"),
        (7, "divide by n"),
    ]:
        refused(capsys, "07.1", answer, words)


def test_obeyed(capsys):
    assert check("07.2", lambda rows: sum(row[4] == 1 for row in rows) / len(rows))
    for answer, words in [
        (lambda rows: sum(row[1] for row in rows) / len(rows), "does not listen"),
        (lambda rows: 100 * sum(row[4] == 1 for row in rows) / len(rows), "between 0 and 1"),
        (lambda rows: sum(row[4] != 0 for row in rows) / len(rows), "only one was named"),
        (lambda rows: sum(row[4] == 1 for row in rows), "divide"),
        (lambda rows: 0.1, "a half"),
    ]:
        refused(capsys, "07.2", answer, words)


def raw(actions, stats):
    return actions * stats["action_std"] + stats["action_mean"]


def normalised(actions, stats):
    return (actions - stats["action_mean"]) / stats["action_std"]


def test_same_units(capsys):
    assert check("07.3", lambda actions, new, old: normalised(raw(actions, new), old))
    for answer, words in [
        (lambda actions, new, old: actions, "nothing changed"),
        (lambda actions, new, old: raw(actions, new), "robot's units"),
        (lambda actions, new, old: normalised(actions, old), "first back"),
        (lambda actions, new, old: normalised(raw(actions, old), new), "exchanged"),
        (lambda actions, new, old: torch.zeros_like(actions), "come out as before"),
        (lambda actions, new, old: actions[0], "shape"),
    ]:
        refused(capsys, "07.3", answer, words)


def test_what_the_vlm_is_worth(capsys):
    points, low, high = (100 * value for value in stored())
    assert check("07.4", (points, low, high))
    refused(capsys, "07.4", (points + 5, low, high), "all seeds")
    refused(capsys, "07.4", (-points, -high, -low), "sign is turned")
    touched = [100 * value for value in stored(lambda row: row[1])]
    refused(capsys, "07.4", touched, "you counted success")
    refused(capsys, "07.4", (points, low - 10, high + 10), "equal starts")
    refused(capsys, "07.4", (points / 100, low / 100, high / 100), "100 times")
