"""Notebook 04's checks: right answers pass, each typical mistake is named."""

import pytest
import torch
from answers import refused

from minipi0 import flow, toys
from minipi0.exercises import check


def test_four_buggy_samplers(capsys):
    assert (
        check("04.1", "cadb")
        and check("04.1", ["c", "a", "d", "b"])
        and check("04.1", "C, A, D, B")
    )
    for answer, words in [
        ("cabd", "2 of 4"),
        ("acdb", "i // steps"),
        ("bcad", "quarter of the plane"),
        ("cad", "four letters"),
    ]:
        refused(capsys, "04.1", answer, words)


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda e, m, s: torch.full_like(e, m), "one Euler step"),
        (lambda e, m, s: m, "one Euler step"),
        (lambda e, m, s: m + e, "width of 1"),
        (lambda e, m, s: m + s**2 * e, "variance"),
        (lambda e, m, s: m - s * e, "mirrors"),
        (lambda e, m, s: 0 * e, "check it"),
    ],
)
def test_endpoint_wrong(capsys, function, words):
    refused(capsys, "04.2", function, words)


def test_endpoint_right():
    assert check("04.2", lambda noise, mean, std: mean + std * noise)
    assert check(
        "04.2", lambda noise, mean, std: noise.mul_(std).add_(mean)
    )  # in place: odd, but right


def test_orders(capsys):
    assert check("04.3", (100, 100))
    for answer, words in [
        ((32, 100), "first order"),
        ((1000, 100), "hundredth"),
        ((20, 100), "a tenth"),
        ((100, 10), "Euler's factor"),
        ((100, 5), "1/n^2"),
        ((100, 0.01), "what remains"),
        ((100, 25), "two evaluations"),
        (100, "two numbers"),
    ]:
        refused(capsys, "04.3", answer, words)


def grid_euler(velocity, x, taus):
    for tau, after in zip(taus, taus[1:], strict=False):
        x = x + (after - tau) * velocity(x, tau)
    return x


def grid_euler_in_place(velocity, x, taus):
    for tau, after in zip(taus, taus[1:], strict=False):
        x += (after - tau) * velocity(x, tau)
    return x


def even_lengths(velocity, x, taus):
    for tau in taus[:-1]:
        x = x + velocity(x, tau) / (len(taus) - 1)
    return x


def even_times(velocity, x, taus):
    for i, length in enumerate(taus.diff()):
        x = x + length * velocity(x, i / (len(taus) - 1))
    return x


def at_the_end(velocity, x, taus):
    for tau, after in zip(taus, taus[1:], strict=False):
        x = x + (after - tau) * velocity(x, after if len(taus) != 11 else tau)
    return x


def one_too_many(velocity, x, taus):
    for tau in taus:
        x = x + velocity(x, tau) / len(taus)
    return x


def first_step_only(velocity, x, taus):
    return x + (taus[1] - taus[0]) * velocity(x, taus[0])


def test_euler_on_a_grid(capsys):
    assert check("04.4", grid_euler) and check("04.4", grid_euler_in_place)
    for answer, words in [
        (even_lengths, "difference of two"),
        (even_times, "taus[i]"),
        (at_the_end, "at the start of each step"),
        (one_too_many, "even grid"),
        (lambda v, x, t: flow.euler(v, x, len(t) - 1), "whatever the grid says"),
        (first_step_only, "inside the loop"),
        (lambda v, x, t: flow.euler(v, x, 10, path=True), "whole path"),
        (lambda v, x, t: None, "points at tau = 1"),
    ]:
        refused(capsys, "04.4", answer, words)


def test_pairs_keep_their_observation(capsys):
    def pair(actions, observation, noise):
        order = toys.optimal_pairs(actions, noise)
        return actions[order], observation[order], noise

    def move_the_noise(actions, observation, noise):
        return actions, observation, noise[toys.optimal_pairs(noise, actions)]

    def left_behind(actions, observation, noise):
        return actions[toys.optimal_pairs(actions, noise)], observation, noise

    def other_rows(actions, observation, noise):
        order = toys.optimal_pairs(noise, actions)
        return actions[order], observation[order], noise

    assert check("04.5", pair) and check("04.5", move_the_noise)
    for answer, words in [
        (left_behind, "own observation"),
        (other_rows, "your rows"),
        (lambda a, o, e: (a[:1].expand_as(a), o, e), "lost or doubled"),
        (lambda a, o, e: (a, e), "three tensors"),
        (lambda a, o, e: (a[:3], o, e), "shape"),
    ]:
        refused(capsys, "04.5", answer, words)


def test_untouched_answers_are_not_wrong(capsys):
    for k in range(1, 6):
        assert not check(f"04.{k}", ...)
        assert "not tried yet" in capsys.readouterr().out
