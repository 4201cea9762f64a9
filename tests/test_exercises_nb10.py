"""Notebook 10's checks accept what is right and name the typical mistakes."""

import pytest
import torch

from minipi0.exercises import check

KNOWN = {1: 0.52, 10: 0.42}
LOW, HIGH = -0.8, 1.2


def snap(samples):
    samples = samples.clone()
    samples[..., 2] = torch.where(samples[..., 2] > (LOW + HIGH) / 2, HIGH, LOW)
    return samples


def snap_in_place(samples):
    samples[..., 2] = torch.where(samples[..., 2] > (LOW + HIGH) / 2, HIGH, LOW)
    return samples


def snap_all(samples):
    return torch.where(samples > (LOW + HIGH) / 2, HIGH, LOW)


def snap_to_units(samples):
    samples = samples.clone()
    samples[..., 2] = (samples[..., 2] > 0.5).float()
    return samples


def snap_at_zero(samples):
    samples = samples.clone()
    samples[..., 2] = torch.where(samples[..., 2] > 0, HIGH, LOW)
    return samples


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("10.1", (0.5, 0.2)),
        ("10.2", (1 / 3, 2 / 9, 4 / 9)),
        ("10.2", (0.333, 0.222, 0.444)),
        ("10.3", ({2: 0.455, 5: 0.425}, KNOWN)),
        ("10.4", (snap, 2, LOW, HIGH)),
    ],
)
def test_right_answers(number, answer, capsys):
    assert check(number, answer), capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("10.1", (0.25, 0.2), "nothing is subtracted"),
        ("10.1", (0.5, 0.35), "i ≠ j only"),
        ("10.1", (0.5, -0.1), "factor 1/2"),
        ("10.1", (float("nan"), 0.2), "not all finite"),
        ("10.1", 0.5, "give two numbers: score of always y"),
        ("10.2", (float("nan"),) * 3, "not all finite"),
        ("10.2", (0, 1 / 3, 4 / 9), "does not vote"),
        ("10.2", (1 / 3, 1 / 3, 4 / 9), "error of the regression"),
        ("10.2", (1 / 3, 2 / 9, 2 / 9), "larger than the regression's"),
        ("10.3", ([0.4, 0.5], KNOWN), "dictionary"),
        ("10.3", ({2: (0.45, 0.4, 0.5), 5: (0.42, 0.4, 0.5)}, KNOWN), "means alone"),
        ("10.3", ({2: 0.455, 5: 0.42}, KNOWN), "was steps= passed on"),
        ("10.3", ({2: 0.455, 5: float("nan")}, KNOWN), "not all finite"),
        ("10.3", ({2: 0.455, 5: 0.6}, KNOWN), "far from 10 steps"),
        ("10.4", (snap_in_place, 2, LOW, HIGH), "changed its input"),
        ("10.4", (snap_all, 2, LOW, HIGH), "other action dims"),
        ("10.4", (snap_to_units, 2, LOW, HIGH), "not 0 and 1"),
        ("10.4", (snap_at_zero, 2, LOW, HIGH), "nearer"),
        ("10.4", (lambda samples: samples.clone(), 2, LOW, HIGH), "still between"),
    ],
)
def test_typical_mistakes(number, answer, hint, capsys):
    assert not check(number, answer)
    assert hint in capsys.readouterr().out
