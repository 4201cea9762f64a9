"""Notebook 08's checks: right answers pass, each typical mistake is named."""

import pytest
import torch
from answers import refused

from minipi0 import toys
from minipi0.baselines import diffusion
from minipi0.exercises import check
from minipi0.exercises.nb08 import SCHEDULE, right_sampler


def test_the_clock(capsys):
    assert check("08.1", lambda bar: diffusion.clock(bar)[0])
    for answer, words in [
        (lambda bar: bar**0.5, "divide by a + s"),
        (lambda bar: bar, "a power"),
        (lambda bar: (1 - bar) ** 0.5 / (bar**0.5 + (1 - bar) ** 0.5), "share of the noise"),
        (lambda bar: 0.3, "read the factor of A"),
    ]:
        refused(capsys, "08.1", answer, words)


def noise_from(velocity, ask="y", out="y", end="noise"):
    def noise_of(x, alpha_bar):
        tau, scale = diffusion.clock(alpha_bar)
        points = {"x": x, "y": scale * x}
        v = velocity(points[ask], tau)
        return points[out] - tau * v if end == "noise" else points[out] + (1 - tau) * v

    return noise_of


def test_a_velocity_as_a_noise(capsys):
    assert check("08.2", noise_from)
    for changes, words in [
        (dict(ask="x", out="x"), "not at x"),
        (dict(out="x"), "out of x"),
        (dict(end="action"), "the action"),
        (dict(ask="x"), "what is eps"),
    ]:
        refused(capsys, "08.2", lambda v, c=changes: noise_from(v, **c), words)


def test_what_a_median_does(capsys):
    assert check("08.3", (-0.036, -0.18))
    for answer, words in [
        ((0.036, -0.18), "the sign"),
        ((-0.18, -0.036), "the other way round"),
        ((-0.036, 0), "until where"),
        ((0, -0.18), "weigh them"),
        ((-0.1, -0.18), "over the ten"),
    ]:
        refused(capsys, "08.3", answer, words)


def test_the_sampler(capsys):
    assert check("08.4", right_sampler)
    for answer, words in [
        (lambda *a: right_sampler(*a, True), "Which of the 20 steps"),
        (lambda n, s, x, g: x, "around their means"),
        (lambda n, s, x, g: x[:10], "have shape"),
        (lambda n, s, x, g: toys.ring().means[torch.arange(len(x)) % 8], "too close"),
    ]:
        refused(capsys, "08.4", answer, words)


def test_the_schedule_is_the_packages():
    torch.testing.assert_close(SCHEDULE, diffusion.cosine_schedule(20))


@pytest.mark.parametrize("number", ["08.1", "08.2", "08.3", "08.4"])
def test_untouched_answers_are_not_wrong(capsys, number):
    assert not check(number, ...)
    assert "not tried yet" in capsys.readouterr().out
