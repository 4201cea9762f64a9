"""Checks of notebook 10's exercises: the energy score, the mean gripper, fewer steps, rounding."""

import torch

from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers


@exercise("10.1")
def score_of_certainty(answer):
    """|y - a| = |z - a| = 0.5, |y - z| = 0.6: the energy scores of always-y and of y-and-z."""
    first, second = numbers(answer, "score of always y, score of y and z")
    if near(first, 0.25, 1e-6):
        return "first: with a single answer no two samples differ, so nothing is subtracted."
    if not near(first, 0.5, 1e-6):
        return (
            "first: the distance to the demonstration is 0.5 and there is no second term, not "
            f"{first:g}."
        )
    if near(second, 0.35, 1e-6):
        return (
            "second: the sum runs over i ≠ j only. With M = 2 both of its terms are |y - z|, so "
            "their mean is 0.6, not 0.3."
        )
    if near(second, -0.1, 1e-6):
        return "second: the factor 1/2 before the second term is missing."
    if not near(second, 0.2, 1e-6):
        return (
            "second: take 0.5 and subtract half the mean distance between two different "
            f"samples; that is not {second:g}."
        )


@exercise("10.2")
def mean_gripper(answer):
    """A third closed: prediction, its squared error, the sampler's squared error."""
    names = "prediction, error of the regression, error of the sampler"
    prediction, regression, sampler = numbers(answer, names)
    if min(abs(prediction), abs(prediction - 1)) < 1e-6:
        return (
            "prediction: squared error does not vote, it averages. "
            "What is the mean of a third ones and two thirds zeros?"
        )
    if not near(prediction, 1 / 3, 5e-3):
        return f"prediction: the mean of the demonstrated values is not {prediction:g}."
    if not near(regression, 2 / 9, 5e-3):
        return (
            "error of the regression: average (1/3 - 1)² and (1/3 - 0)² with the odds 1/3 and "
            f"2/3; that is not {regression:g}."
        )
    if near(sampler, 2 / 9, 5e-3):
        return (
            "error of the sampler: it is larger than the regression's. "
            "How often do two independent draws differ?"
        )
    if not near(sampler, 4 / 9, 5e-3):
        return (
            "error of the sampler: 1 whenever sample and demonstration differ, P(1)P(0) + "
            f"P(0)P(1); that is not {sampler:g}."
        )


@exercise("10.3")
def fewer_steps(answer):
    """({2: score, 5: score}, {1: score, 10: score}): means over the same items."""
    given, known = answer
    if not isinstance(given, dict) or set(given) != {2, 5}:
        return "give a dictionary with the keys 2 and 5."
    if any(isinstance(value, (tuple, list)) for value in given.values()):
        return "give the means alone: .interval() returns (mean, low, high)."
    means = numbers(given.values(), "mean with 2 steps, mean with 5 steps")
    given = dict(zip(given, means, strict=True))
    span = known[1] - known[10]
    if abs(given[2] - known[1]) < 1e-9 or abs(given[5] - known[10]) < 1e-9:
        return "that is exactly the score of another number of steps: was steps= passed on?"
    if not known[10] - span < given[2] < known[1]:
        return (
            f"with 2 steps {given[2]:.3f} is off: it should lie between 1 step's {known[1]:.3f} "
            f"and 10 steps' {known[10]:.3f}."
        )
    if abs(given[5] - known[10]) > 0.5 * span:
        return (
            f"with 5 steps {given[5]:.3f} is far from 10 steps' {known[10]:.3f}: "
            "were the same items and 16 samples used?"
        )


@exercise("10.4")
def round_the_gripper(answer):
    """(function, dim, low, high): it must snap that dim to the nearer of the two and leave the rest
    and its input alone.
    """
    rounded, dim, low, high = answer
    generator = torch.Generator().manual_seed(0)
    samples = low + (high - low) * torch.rand(3, 5, 4, dim + 1, generator=generator)
    before = samples.clone()
    got = rounded(samples)
    if not isinstance(got, torch.Tensor) or got.shape != samples.shape:
        return f"expected a tensor of the same shape, {tuple(samples.shape)}."
    if not torch.equal(samples, before):
        return "it changed its input: clone it first, or the unrounded samples are lost."
    if not torch.equal(got[..., :dim], before[..., :dim]):
        return "other action dims than the gripper's changed too."
    values = got[..., dim]
    if ((values == 0) | (values == 1)).all() and not {float(low), float(high)} <= {0.0, 1.0}:
        return (
            "samples are normalised: open and closed are `lowest` and `highest` there, not 0 and 1."
        )
    if not ((values == low) | (values == high)).all():
        return "some values are still between open and closed."
    if not torch.equal(values == high, before[..., dim] > (low + high) / 2):
        return "each value should go to the nearer of the two: the border is their middle."
