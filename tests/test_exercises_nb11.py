"""Notebook 11's checks: right answers pass, each typical mistake is named."""

import numpy as np
import pytest
from answers import refused
from scipy import stats

from minipi0.exercises import check
from minipi0.exercises.nb11 import ChunkPolicy, ObstacleCourse, true_outcomes


def test_trials_without_a_failure(capsys):
    assert check("11.1", 59)
    for answer, words in [
        (60, "rule of three"),
        (58, "5.1 %"),
        (72, "two-sided"),
        (20, "36 %"),
        (100, "chance 0.6%"),
        (np.int64(10), "chance 59.9%"),
    ]:
        refused(capsys, "11.1", answer, words)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda p, n, m: p, "each of them scores on average"),
        (lambda p, n, m: 1 - (1 - p) ** m, "single trials"),
        (lambda p, n, m: n * exact_best(p, n, m), "Divide it by n"),
        (lambda p, n, m: 1.0, "often below 10 of 10"),
        (lambda p, n, m: p + 0.05, "highest"),
    ],
)
def test_best_of_wrong(capsys, answer, words):
    refused(capsys, "11.2", answer, words)


def exact_best(p, n, m):
    return (1 - stats.binom.cdf(np.arange(n), n, p) ** m).sum() / n


def test_best_of_right():
    assert check("11.2", exact_best)
    rng = np.random.default_rng(3)
    assert check("11.2", lambda p, n, m: (rng.binomial(n, p, (50_000, m)) / n).max(1).mean())


def evaluate(policy, env, seeds, reset=lambda policy, seed, i: policy.reset(seed), late=False):
    outcomes = []
    for i, seed in enumerate(seeds):
        observation, info = env.reset(seed=seed)
        reset(policy, seed, i)
        terminated = truncated = False
        while not (terminated or truncated):
            observation, _, terminated, truncated, info = env.step(policy.act(observation))
        outcomes.append(info["success"])
    return outcomes


def test_a_right_evaluation_passes():
    assert check("11.3", evaluate)
    assert check("11.3", lambda _, env, seeds: evaluate(ChunkPolicy(), env, seeds)) is True


@pytest.mark.parametrize(
    ("reset", "words"),
    [
        (lambda policy, seed, i: None, "another order"),
        (lambda policy, seed, i: policy.reset(7), "the same in every trial"),
        (lambda policy, seed, i: policy.queue.clear(), "another order"),
        (lambda policy, seed, i: policy.reset(seed + 1), "the trial's own seed"),
    ],
)
def test_wrong_resets_are_named(capsys, reset, words):
    refused(capsys, "11.3", lambda *args: evaluate(*args, reset=reset), words)


def test_missing_outcomes_are_named(capsys):
    refused(capsys, "11.3", lambda *args: evaluate(*args)[:5], "40 seeds, 5 outcomes")


def counted(policy, env, seeds):
    outcomes = evaluate(policy, env, seeds)
    return sum(outcomes), len(outcomes)


def test_every_trial_counts(capsys):
    assert check("11.4", counted)
    successes = sum(true_outcomes(range(100, 200)))
    assert 80 < successes < 100  # some fail, or there would be nothing to find
    for answer, words in [
        (lambda *args: (successes, successes), "in common"),
        (lambda *args: (100, 100), "also those whose time ran out"),
        (lambda *args: (successes, 200), "200 trials"),
        (lambda *args: (successes - 3, 100), "a fresh policy"),
        (lambda *args: 0.9, "two numbers"),
    ]:
        refused(capsys, "11.4", answer, words)


def test_the_planted_fault_shows_in_the_robots_behaviour():
    seeds = range(100, 200)
    stale = evaluate(ChunkPolicy(), ObstacleCourse(), seeds, reset=lambda *_: None)
    assert sum(stale) < 0.85 * sum(true_outcomes(seeds))


def test_untouched_answers_are_not_wrong(capsys):
    for k in range(1, 5):
        assert not check(f"11.{k}", ...)
        assert "not tried yet" in capsys.readouterr().out
