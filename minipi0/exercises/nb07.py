"""Checks of notebook 07's exercises."""

import torch

from minipi0.evaluate import paired_interval
from minipi0.exercises import exercise
from minipi0.exercises.answers import measured, near, numbers


def shares(counts, power: float) -> torch.Tensor:
    """How often each data set comes: n**power, as shares of 1."""
    weights = torch.tensor(counts, dtype=torch.float64) ** power
    return weights / weights.sum()


@exercise("07.1")
def _how_much_more_often(answer):
    (times,) = numbers(answer, "how many times as often")
    if near(times, (50 / 4) ** 0.43, 0.05):
        return (
            "that is how much more often the frequent NAME comes; "
            "the question is about one demonstration"
        )
    if near(times, (4 / 50) ** 0.57, 0.02):
        return "turn it round: the rare demonstration comes more often"
    if near(times, 50 / 4, 0.1):
        return "that is so if every name comes equally often, n**0"
    if near(times, 1, 1e-6):
        return "that is so without weights, n**1"
    if not near(times, (50 / 4) ** 0.57, 0.05):
        return "a name with n demonstrations comes n**0.43 times: divide by n for one of them"
    return None


@exercise("07.2")
def _obeyed(answer):
    rows = [[1, 1, 0, 9, 0], [2, 0, 1, 30, 1], [3, 0, 0, 30, 1], [4, 0, 1, 30, 2]]
    (share,) = numbers(answer(rows), "a share")
    if near(share, 0.25):
        return (
            "you counted success: with another thing's name, that is a policy which does not listen"
        )
    if near(share, 50):
        return "return a share between 0 and 1"
    if near(share, 0.75):
        return "of the two other things, only one was named: the first of them"
    if near(share, 2):
        return "divide by the number of trials"
    if not near(share, 0.5):
        return (
            f"of the four trials of this check two obey the words, so a half; yours gives {share:g}"
        )
    return None


@exercise("07.3")
def _same_units(answer):
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(5, 4, 2, generator=generator, dtype=torch.float64)
    old = {"action_mean": torch.tensor([0.2, -1.0]), "action_std": torch.tensor([0.5, 2.0])}
    new = {"action_mean": torch.tensor([-0.4, 0.3]), "action_std": torch.tensor([3.0, 0.1])}
    actions = (raw - new["action_mean"]) / new["action_std"]
    found = answer(actions, new, old)
    if not torch.is_tensor(found) or found.shape != actions.shape:
        return "return a tensor of the actions' own shape"

    def same(wanted):
        return (found - wanted).abs().max() < 1e-4

    if same(actions):
        return "nothing changed: these numbers mean other velocities to the first policy"
    if same(raw):
        return "these are the robot's units: now normalise with the old statistics"
    if same((actions - old["action_mean"]) / old["action_std"]):
        return "first back to the robot's units, with the new statistics"
    if same(
        (actions * old["action_std"] + old["action_mean"] - new["action_mean"]) / new["action_std"]
    ):
        return "old and new are exchanged"
    if not same((raw - old["action_mean"]) / old["action_std"]):
        return (
            "normalised with the old statistics, the robot's own velocities must come out as before"
        )
    return None


@exercise("07.4")
def _worth(answer):
    points, low, high = numbers(answer, "difference in points, lower end, upper end")
    wanted = [100 * value for value in stored()]
    touched = [100 * value for value in stored(lambda row: row[1])]
    if max(abs(points), abs(low), abs(high)) <= 1 < max(map(abs, wanted)):
        return "give points of a percent: 100 times the difference of the rates"
    if near(points, -wanted[0], 0.6) and not near(wanted[0], 0, 0.6):
        return "the sign is turned: first the policy from the VLM, then the one from scratch"
    if near(points, touched[0], 0.6):
        return "you counted success: here the last number of a row counts, 0 is the named thing"
    if not near(points, wanted[0], 0.6):
        return (
            f"the difference is not {points:g} points: count all seeds, and the new colours alone"
        )
    if not (near(low, wanted[1], 2) and near(high, wanted[2], 2)):
        return "the difference is right, the interval is not: use the pairs of equal starts"
    return None


def stored(counts=lambda row: row[4] == 0) -> tuple[float, float, float]:
    """(difference, low, high): the policy from the VLM minus the one from scratch, with new colours
    and 50 demonstrations a name.

    counts: what counts of a trial; by default that the hand ends nearest to the named thing.
    """
    found = measured("07_standing.json")
    a, b = (
        {
            (seed, row[0]): counts(row)
            for seed in range(3)
            if (key := f"{start}, 50 a name, seed {seed}") in found
            for row in found[key]["trials"]["new colours"]
        }
        for start in ("vlm", "scratch")
    )
    only_a, only_b = sum(a[k] > b[k] for k in a), sum(a[k] < b[k] for k in a)
    return paired_interval(only_a, only_b, len(a))
