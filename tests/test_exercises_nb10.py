"""Notebook 10's checks accept what is right and name the typical mistakes."""

from functools import partial

import pytest
import torch

from minipi0 import evaluate, flow
from minipi0.exercises import check

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


def step_loss(model, observation, actions, mask, generator, times=64, keep_mask=True):
    noise = torch.randn(actions.shape, generator=generator)
    tau = flow.sample_tau(times, generator).expand(len(actions))
    velocity = model.velocity(observation, flow.interpolate(actions, noise, tau), tau)
    error = (velocity - (actions - noise)) ** 2
    return error[mask].mean() if keep_mask else error.mean()


def package_loss(model, observation, actions, mask, generator):
    return model.loss(observation, actions, action_mask=mask, generator=generator)


def score(samples, a, factor=0.5, pairs=lambda m: m * (m - 1)):
    between = (samples[:, None] - samples[None]).pow(2).mean((-2, -1)).sqrt().sum()
    to_demonstration = (samples - a).pow(2).mean((-2, -1)).sqrt().mean()
    return to_demonstration - factor * between / pairs(len(samples))


def package_score(samples, a):
    return evaluate.energy_score(samples[:, None], a[None], torch.ones(1, len(a)).bool())


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("10.1", (0.5, 0.2)),
        ("10.2", (1 / 3, 2 / 9, 4 / 9)),
        ("10.2", (0.333, 0.222, 0.444)),
        ("10.3", step_loss),
        ("10.3", package_loss),
        ("10.5", score),
        ("10.5", package_score),
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
        ("10.3", partial(step_loss, times=1), "still share their tau"),
        ("10.3", partial(step_loss, keep_mask=False), "padded actions count"),
        ("10.3", lambda *given: 3 * step_loss(*given), "expected about"),
        ("10.5", partial(score, factor=1.0), "still their score"),
        ("10.5", partial(score, factor=0.0), "rewards the mean"),
        ("10.5", partial(score, pairs=lambda m: m * m), "pairs of different samples"),
        ("10.5", lambda samples, a: torch.tensor(3.0), "3.0000, expected"),
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
