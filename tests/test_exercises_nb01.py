"""Notebook 01's checks: right answers pass, each typical wrong one is told its mistake."""

import math
import re

import pytest
import torch

from minipi0.exercises import check


def euler_t(velocity_t, noise, steps, sign=-1, first=1.0, direction=-1):
    x = noise
    for i in range(steps):
        x = x + sign / steps * velocity_t(x, first + direction * i / steps)
    return x


def in_place(velocity_t, x, n):
    for i in range(n):
        x -= velocity_t(x, torch.full((len(x),), 1 - i / n)) / n
    return x


def euler_t_at(times):
    def sampler(velocity_t, x, n):
        for t in times(n):
            x = x - velocity_t(x, t) / n
        return x

    return sampler


RIGHT = {
    "01.1": [(0, 4, 4), [0.0, 4.0, 4.0], torch.tensor([0.0, 4.0, 4.0])],
    "01.2": [lambda a, e, tau: 2 * tau * (a - e), lambda a, e, tau: (2 * tau * (a - e)).float()],
    "01.3": [euler_t, in_place, euler_t_at(lambda n: torch.linspace(1, 0, n + 1)[:-1])],
    "01.4": [(0.4, 0.2, 0.5)],
    "01.5": [
        lambda x, v, tau: (x - tau * v, x + (1 - tau) * v),
        lambda x, v, tau: torch.stack([x - tau * v, x + (1 - tau) * v]),
    ],
}

WRONG = [
    ("01.1", 4, "give three numbers"),
    ("01.1", (0, 4), "give three numbers"),
    ("01.1", (2, 4, 4), r"tau = 0\.75"),
    ("01.1", (1, 4, 4), "put A = 3"),
    ("01.1", (0, -4, -4), "the sign"),
    ("01.1", (0, 3, 0.4), "distance left"),
    ("01.1", (0, 4, 0.4), "distance left"),
    ("01.1", (0, 2, 2), "the derivative"),
    ("01.2", lambda a, e, tau: a - e, "straight-in-time"),
    ("01.2", lambda a, e, tau: 2 * tau * (e - a), "the sign"),
    ("01.2", lambda a, e, tau: tau**2 * (a - e), "how far the point has come"),
    ("01.2", lambda a, e, tau: tau * (a - e), "2 tau, not tau"),
    ("01.2", lambda a, e, tau: 2 * tau * a, "stand still"),
    ("01.2", lambda a, e, tau: 2 * (a - e), "on arrival"),
    ("01.2", lambda a, e, tau: tau**2 * a + (1 - tau**2) * e, "the path"),
    ("01.2", lambda a, e, tau: 2 * tau * (a + e), "sign inside"),
    ("01.2", torch.zeros(6, 3), "the function itself"),
    ("01.2", lambda a, e, tau: (a - e).mean(), "shape"),
    ("01.2", lambda a, e: a - e, "your code stopped with TypeError"),
    ("01.3", lambda v, x, n: euler_t(v, x, n, sign=1), "the step's sign"),
    ("01.3", lambda v, x, n: euler_t(v, x, n, first=0.0, direction=1), "that is tau"),
    ("01.3", lambda v, x, n: euler_t(v, x, n, first=0.8), r"first t is 0\.8"),
    ("01.3", lambda v, x, n: euler_t(v, x, 2 * n), "asked 10 times"),
    ("01.3", lambda v, x, n: euler_t(v, x, n, first=2.0), "expected t = 1"),
    ("01.3", lambda v, x, n: euler_t(v, x, n, sign=-0.5), "the steps are not"),
    ("01.3", lambda v, x, n: None, "expected the actions"),
    ("01.3", euler_t_at(lambda n: [1 - i / n for i in range(n + 1)]), "a sixth time"),
    ("01.3", euler_t_at(lambda n: torch.linspace(1, 0, n)), "ends at 0"),
    ("01.3", lambda v, x, n: x - v(x, 1.0) / n, "asked the network once"),
    (
        "01.3",
        lambda v, x, n: x - sum(v(x, 1 - i / n) for i in range(n)) / n,
        "at the noise every time",
    ),
    (
        "01.3",
        lambda v, x, n: torch.stack([x, *(x - v(x, 1 - i / n) for i in range(n))]),
        "whole path",
    ),
    ("01.4", (0.6, 0.2, 0.5), "released code's t"),
    ("01.4", (0.5, 0.2, 0.5), "at which tau"),
    ("01.4", (0.4, 0.6, 0.5), "either line"),
    ("01.4", (0.4, 0.2, 3), "one of the pairs"),
    ("01.4", (0.4, 0.2, 1), "the sum"),
    ("01.4", (0.4, 0.2, 2.5), "half their difference"),
    ("01.4", (0.4, 0.2, 0), "which single number"),
    ("01.4", "0.4", "give three numbers"),
    ("01.5", lambda x, v, tau: x, "return two tensors"),
    ("01.5", lambda x, v, tau: (x + (1 - tau) * v, x - tau * v), "other order"),
    ("01.5", lambda x, v, tau: (x - tau * v, x + v), "overshoots"),
    ("01.5", lambda x, v, tau: (x - tau * v, x + tau * v), "the action is wrong"),
    ("01.5", lambda x, v, tau: (x - (1 - tau) * v, x + tau * v), "released code's t"),
    ("01.5", lambda x, v, tau: (0.0, 1.0), "x's shape"),
    ("01.5", lambda x, v, tau: (x - v, x + (1 - tau) * v), "the noise is wrong"),
]


@pytest.mark.parametrize(
    ("number", "answer"),
    [(number, answer) for number, answers in RIGHT.items() for answer in answers],
)
def test_right_answers_pass(number, answer, capsys):
    assert check(number, answer), capsys.readouterr().out


@pytest.mark.parametrize(("number", "answer", "message"), WRONG)
def test_wrong_answers_are_told_their_mistake(number, answer, message, capsys):
    assert not check(number, answer)
    assert re.search(message, capsys.readouterr().out)


def test_not_a_number_is_no_answer(capsys):
    assert not check("01.1", (math.nan, 4, 4)) and not check("01.4", (0.4, 0.2, math.nan))
