"""Notebook 02's checks: right answers pass, each typical wrong one is told its mistake."""

import re

import pytest
import torch

from minipi0.exercises import check


def posterior_mean(x, tau):
    a = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    weight = torch.softmax(-((x[:, None] - tau * a) ** 2) / (2 * (1 - tau) ** 2), dim=1)
    return weight @ a


def two_actions_with(exponent):
    """Posterior average over A = -1, 1 with weights exp(-exponent(x - tau A, 1 - tau)), in the
    reader's float32.
    """

    def velocity(x, tau):
        a = torch.tensor([-1.0, 1.0])
        weight = torch.softmax(-exponent(x[:, None] - tau * a, 1 - tau), dim=1)
        return (weight @ a - x) / (1 - tau)

    return velocity


def kalman(std, tau, sign=-1, power=2):
    """The loss that remains, the long way; other signs and powers are typical slips."""
    return (
        std**2 + 1 - (tau * std**2 + sign * (1 - tau)) ** power / (tau**2 * std**2 + (1 - tau) ** 2)
    )


RIGHT = {
    "02.1": [(0.5, -1), torch.tensor([0.5, -1.0]), torch.tensor([[0.5, -1.0]])],
    "02.2": [
        lambda x, tau: (torch.tanh(tau * x / (1 - tau) ** 2) - x) / (1 - tau),
        lambda x, tau: (posterior_mean(x, tau) - x) / (1 - tau),
        two_actions_with(lambda d, left: d**2 / (2 * left**2)),
    ],
    "02.3": [
        lambda std, tau: std**2 / (tau**2 * std**2 + (1 - tau) ** 2),
        lambda std, tau: (
            (1 - tau) ** 2 * std**2 / (tau**2 * std**2 + (1 - tau) ** 2) / (1 - tau) ** 2
        ),
        kalman,
    ],
    "02.4": [lambda predict: lambda x, tau: (predict(x, tau) - x) / (1 - tau)],
    "02.5": [lambda tau: 1 / (1 - tau) ** 2],
}

WRONG = [
    ("02.1", 0.5, "two numbers"),
    ("02.1", (1, 0), "mean of the actions"),
    ("02.1", (-0.5, -1), "equal weights"),
    ("02.1", (-0.5, 1), "the sign"),
    ("02.1", (1.5, -1), "likelier cluster"),
    ("02.1", (0, 0), "stands still"),
    ("02.1", (0.5, 0), "two components"),
    ("02.1", (0.5, 1), "second component"),
    ("02.1", (9, 9), "over both clusters"),
    ("02.1", (float("nan"), -1), "not all finite"),
    ("02.2", lambda x, tau: -x / (1 - tau), "same weight everywhere"),
    ("02.2", lambda x, tau: posterior_mean(x, tau) - x, "distance left"),
    ("02.2", lambda x, tau: (torch.tanh(x / (1 - tau) ** 2) - x) / (1 - tau), "not with A"),
    ("02.2", lambda x, tau: (torch.tanh(tau * x / (1 - tau)) - x) / (1 - tau), "variance"),
    ("02.2", lambda x, tau: (torch.sign(x) - x) / (1 - tau), "nearer action"),
    ("02.2", lambda x, tau: x * 0 + 3, r"wrong at tau = 0\.3"),
    ("02.2", two_actions_with(lambda d, left: d**2 / left**2), "factor of 2"),
    ("02.2", two_actions_with(lambda d, left: d**2 / 2), "narrower on the way"),
    ("02.2", posterior_mean, "where the point should end"),
    ("02.2", lambda x, tau: (x - posterior_mean(x, tau)) / (1 - tau), "the sign"),
    ("02.2", lambda x, tau: 1.0, "one velocity per x"),
    ("02.3", lambda std, tau: std**2 + 1, "before one has seen"),
    (
        "02.3",
        lambda std, tau: (1 - tau) ** 2 * std**2 / (tau**2 * std**2 + (1 - tau) ** 2),
        "is Var",
    ),
    ("02.3", lambda std, tau: tau**2 * std**2 + (1 - tau) ** 2, "variance of A.tau itself"),
    ("02.3", lambda std, tau: kalman(std, tau, sign=1), "covariance's sign"),
    ("02.3", lambda std, tau: kalman(std, tau, power=1), "enters squared"),
    ("02.3", lambda std, tau: std**2 + 1 - kalman(std, tau), "explains"),
    ("02.3", lambda std, tau: 2 * kalman(std, tau), "twice too much"),
    ("02.3", lambda std, tau: 1 / (tau**2 * std**2 + (1 - tau) ** 2), "wrong at std"),
    ("02.3", lambda std, tau: 0, "wrong at std"),
    ("02.3", lambda std, tau: float("nan"), "wrong at std"),
    ("02.4", lambda predict: predict(torch.zeros(1, 2), 0.5), "return a function"),
    ("02.4", lambda predict: lambda x, tau: predict(x, tau) - x, "distance left"),
    ("02.4", lambda predict: lambda x, tau: (1 - tau) * (predict(x, tau) - x), "you multiplied"),
    (
        "02.4",
        lambda predict: lambda x, tau: (predict(x, tau) - x) / (tau if tau else 1),
        "time that has passed",
    ),
    ("02.4", lambda predict: lambda x, tau: (x - predict(x, tau)) / (1 - tau), "the sign"),
    ("02.4", lambda predict: lambda x, tau: predict(x, tau), "already at tau = 0"),
    ("02.4", lambda predict: lambda x, tau: (predict(x, tau) - x) * (1 + tau), "how much time"),
    ("02.4", lambda predict: lambda x, tau: x[:1], "x's shape"),
    ("02.5", lambda tau: 1 / (1 - tau), "enters squared"),
    ("02.5", lambda tau: (1 - tau) ** 2, "other way round"),
    ("02.5", lambda tau: 1 - tau, "other way round"),
    ("02.5", lambda tau: 1 / (1 - tau**2), "is not"),
    ("02.5", lambda tau: 1, "wrong at tau"),
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
