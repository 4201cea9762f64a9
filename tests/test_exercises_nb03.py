"""Notebook 03's checks: right answers pass, each typical mistake is named."""

import math

import pytest
import torch
from answers import refused

from minipi0 import flow
from minipi0.exercises import check


def test_where_a_regression_lands(capsys):
    assert check("03.1", (-0.5, 0.5)) and check("03.1", torch.tensor([-0.5, 0.5]))
    for answer, words in [
        ((-2, 0), "heaviest"),
        ((0, 2 / 3), "without their weights"),
        ((0, 0), "mean of the noise"),
        ((1, 1), "not the mean"),
        (0.5, "two numbers"),
        ((math.nan, 0), "not all finite"),
    ]:
        refused(capsys, "03.1", answer, words)


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda h, r: r / h, "What is p"),
        (lambda h, r: (1 + r / h) / 2, "majority"),
        (lambda h, r: 1 - r / h, "Mind the 2"),
        (lambda h, r: 0.5, "through the centre"),
        (lambda h, r: 0.1, "largest p"),
    ],
)
def test_minority_wrong(capsys, function, words):
    refused(capsys, "03.2", function, words)


def test_minority_right():
    assert check("03.2", lambda h, r: (h - r) / (2 * h))


def variants(variant, a, e, tau):
    return (
        (e, None, a)
        if variant == "a"
        else (flow.interpolate(a, e, tau), tau if variant == "c" else None, a - e)
    )


def changed(which, function):
    """The right answer, but `function` in variant `which`."""
    return lambda variant, a, e, tau: (
        function(a, e, tau) if variant == which else variants(variant, a, e, tau)
    )


@pytest.mark.parametrize(
    "answer, words",
    [
        (changed("a", lambda a, e, t: (flow.interpolate(a, e, t), None, a)), "has no path"),
        (changed("b", lambda a, e, t: (e, None, a - e)), "walks the path"),
        (changed("c", lambda a, e, t: (flow.interpolate(e, a, t), t, a - e)), "other way round"),
        (changed("b", lambda a, e, t: (flow.interpolate(a, e, t), t, a - e)), 'only variant "c"'),
        (
            changed("c", lambda a, e, t: (flow.interpolate(a, e, t), None, a - e)),
            'only variant "c"',
        ),
        (changed("c", lambda a, e, t: (flow.interpolate(a, e, t), 1 - t, a - e)), "as it is"),
        (changed("b", lambda a, e, t: (flow.interpolate(a, e, t), None, e - a)), "sign"),
        (changed("c", lambda a, e, t: (flow.interpolate(a, e, t), t, a)), "not for the action"),
        (
            changed(
                "c", lambda a, e, t: (flow.interpolate(a, e, t), t, a - flow.interpolate(a, e, t))
            ),
            "distance",
        ),
        (changed("a", lambda a, e, t: (e, None, a - e)), "action itself"),
        (changed("a", lambda a, e, t: (a, None, a)), "the input is not"),
        (
            changed("b", lambda a, e, t: (flow.interpolate(a, e, t), None, 2 * a)),
            "the target is not",
        ),
        (lambda *_: 1, "return three things"),
    ],
)
def test_three_variants_wrong(capsys, answer, words):
    refused(capsys, "03.3", answer, words)


def test_three_variants_right():
    assert check("03.3", variants)
    assert check("03.3", lambda *args: list(variants(*args)))


def step(path=flow.interpolate, told=lambda tau: tau, target=None, cost=torch.square):
    """A training loss with one of its parts exchanged."""
    target = target or (lambda a, e: a - e)
    return lambda net, a, e, tau: cost(net(path(a, e, tau), told(tau)) - target(a, e)).mean()


@pytest.mark.parametrize(
    "answer, words",
    [
        (step(path=lambda a, e, t: flow.interpolate(e, a, t)), "from the action to the noise"),
        (step(path=lambda a, e, t: e), "must see A^tau"),
        (step(told=lambda tau: 1 - tau), "told the tau"),
        (step(target=lambda a, e: a - torch.randn_like(e)), "noise of the path"),
        (step(target=lambda a, e: e - a), "loss 0"),
        (step(cost=torch.abs), "median"),
        (lambda net, a, e, tau: 2 * step()(net, a, e, tau), "must cost 9"),
        (lambda net, a, e, tau: 0, "ask the network once"),
        (lambda net, a, e, tau: net(0, tau), "first argument"),
    ],
)
def test_training_loss_with_bugs(capsys, answer, words):
    refused(capsys, "03.4", answer, words)


def test_training_loss_right():
    assert check("03.4", step())
    assert check(
        "03.4", lambda net, a, e, tau: flow.loss(net(flow.interpolate(a, e, tau), tau), a, e)
    )


def test_odds(capsys):
    assert check("03.5", 0.25) and check("03.5", torch.tensor(0.243))
    for answer, words in [
        (0.5, "even mixture"),
        (0.75, "on the right"),
        (0.0, "winner"),
        (0.4, "not the share"),
        (25, "between 0 and 1"),
    ]:
        refused(capsys, "03.5", answer, words)


def test_untouched_answers_are_not_wrong(capsys):
    for k in range(1, 6):
        assert not check(f"03.{k}", ...)
        assert "not tried yet" in capsys.readouterr().out
