"""Notebook 00's checks.

Right answers pass, each typical mistake is named, and the planted faults show.
"""

import numpy as np
import pytest
from answers import refused
from fake_robot import Ahead

from minipi0.exercises import check
from minipi0.exercises.nb00 import FAULTS, SUSPECTS, Suspect


def test_thinking(capsys):
    assert check("00.1", (3, 30)) and check("00.1", np.array([3, 30]))
    for answer, words in [
        ((23, 230), "run out"),
        ((2, 20), "7 are still"),
        ((4, 40), "last for 32"),
        ((3, 3), "once in every"),
        ((3, 230), "whole chunk"),
        ((3, 10), "not 10 passes"),
        (3, "two whole numbers"),
    ]:
        refused(capsys, "00.1", answer, words)


def path(hand, velocities):
    return hand + 0.08 * np.concatenate([np.zeros((1, 3)), velocities.cumsum(0)])


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda h, v: path(h, v)[1:], "17 places"),
        (lambda h, v: v[:2], "expected (17, 3)"),
        (lambda h, v: h + 10 * (path(h, v) - h), "0.08 m"),
        (lambda h, v: h + (path(h, v) - h) / 0.8, "not 1 m/s"),
        (lambda h, v: np.concatenate([h[None], h + 0.08 * v]), "add up"),
        (lambda h, v: path(0, v), "not at 0"),
        (lambda h, v: -path(h, v), "differs"),
    ],
)
def test_path_wrong(capsys, answer, words):
    refused(capsys, "00.2", answer, words)


def test_path_right():
    assert check("00.2", path)


def test_bug_hunts(capsys):
    for number, name in (("00.3", "A"), ("00.4", "B")):
        assert check(number, SUSPECTS[name])
        for fault in FAULTS:
            if fault != SUSPECTS[name]:
                assert not check(number, fault)
        refused(capsys, number, "the weather", "name one of")


def test_untouched_answers_are_not_wrong(capsys):
    for k in range(1, 5):
        assert not check(f"00.{k}", ...)
        assert "not tried yet" in capsys.readouterr().out


def test_a_suspect_acts_like_its_policy_but_for_the_fault():
    seen = {"state": np.zeros(4, np.float32), "prompt": "go slowly"}

    def act(policy):
        policy = policy.another()
        policy.reset(1)
        first = policy.chunk(seen)[0, :3]
        policy.calls += 1
        return first, policy.chunk(seen)[0, :3]

    healthy = act(Ahead())
    gripper = act(Suspect(Ahead(), "A"))
    np.testing.assert_array_equal(gripper[0][:, :3], healthy[0][:, :3])
    np.testing.assert_array_equal(gripper[0][:, 3], -healthy[0][:, 3])
    assert act(Suspect(Ahead(), "B"))[0][0, 1] == np.float32(0.8)  # told another thing
    backwards = Suspect(Ahead(), "order").another()
    backwards.reset(1)
    assert backwards.chunk(seen).shape == (1, 16, 4)
