"""Notebook 13's checks: right answers pass, each typical mistake is named; the faults show."""

import numpy as np
import pytest
from answers import refused
from test_policy import ABOUT, STATS, model, observation

from minipi0.exercises import check, nb13
from minipi0.robot.policy import Policy


def test_delay_and_execute(capsys):
    assert check("13.1", (8, 42))
    assert check("13.1", np.array([8, 42]))
    for answer, words in [
        ((7, 43), "not there yet"),
        ((9, 41), "one step earlier"),
        ((3, 47), "30 times a second"),
        ((20, 30), "0.67 s"),
        ((8, 50), "come too late"),
        ((8, 34), "twice"),
        ((8, 41), "one more"),
        ((8, 25), "the first 8 come too late"),
        ((7.5, 42), "whole numbers"),
        (8, "two whole numbers"),
    ]:
        refused(capsys, "13.1", answer, words)


def right(robot, names, prompt):
    state = [robot[name] for name in names]
    return {"front": robot["front"][..., ::-1], "state": state, "prompt": prompt}


def in_place(robot, names, prompt):
    robot["front"][:] = robot["front"][..., ::-1].copy()
    return right(robot, names, prompt) | {"front": robot["front"]}


def test_the_adapter_right():
    assert check("13.2", right)
    assert check("13.2", lambda r, n, p: right(r, n, p) | {"state": np.array([r[x] for x in n])})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda r, n: {"state": [v for k, v in r.items() if k.endswith(".pos")]}, "another order"),
        (lambda r, n: {"state": [r[name] for name in sorted(n)]}, "another order"),
        (lambda r, n: {"state": [1, 2, 3, 4]}, "other numbers"),
        (lambda r, n: {"state": [r[name] for name in [*n, "temperature"]]}, "shape (5,)"),
        (lambda r, n: {"front": r["front"]}, "still BGR"),
        (lambda r, n: {"front": r["front"][::-1]}, "colours, not rows"),
        (lambda r, n: {"front": r["front"][..., ::-1] / 255}, "keep uint8"),
        (lambda r, n: {"front": r["front"].transpose(2, 0, 1)}, "has shape (3, 4, 6)"),
        (lambda r, n: {"prompt": "wave "}, "as it is"),
    ],
)
def test_the_adapter_wrong(capsys, changes, words):
    refused(capsys, "13.2", lambda r, n, p: right(r, n, p) | changes(r, n), words)


def test_the_adapter_unfinished(capsys):
    refused(capsys, "13.2", lambda r, n, p: [], "return a dict")
    refused(capsys, "13.2", lambda r, n, p: {"prompt": p}, "no ['front', 'state']")
    refused(capsys, "13.2", in_place, "own picture was changed")


@pytest.mark.parametrize(("number", "name"), [("13.3", "A"), ("13.4", "B")])
def test_bug_hunts(capsys, number, name):
    fault = nb13.SUSPECTS[name]
    assert check(number, fault)
    for other in set(nb13.FAULTS) - {fault}:
        refused(capsys, number, other, ".")
    refused(capsys, number, "the wind", "name one of")


@pytest.mark.parametrize("fault", nb13.FAULTS)
def test_every_fault_changes_what_the_robot_does(fault):
    old = {name: value + 1 for name, value in STATS.items()}
    policy = Policy(model(), execute=2)
    suspect = nb13.Suspect(policy, fault, old)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(8)]
    done = {}
    for who in (policy, suspect):
        who.reset(5)
        done[who] = []
        for picture in pictures:
            who_looks = who.needs_observation
            seen = observation(front=picture)
            action = who.act(seen if who_looks else None)
            done[who].append(np.resize(action, 4))
    assert not np.allclose(done[policy], done[suspect])
    assert policy.about == ABOUT, "the healthy policy stays as it was"


def test_untouched_answers_are_not_wrong(capsys):
    for k in range(1, 5):
        assert not check(f"13.{k}", ...)
        assert "not tried yet" in capsys.readouterr().out
