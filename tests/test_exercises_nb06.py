"""Notebook 06's checks: right answers pass, each typical mistake is named."""

import pytest
from answers import refused

from minipi0.exercises import check
from minipi0.exercises.nb06 import stored


def test_weights_of_an_euler_step(capsys):
    assert check("06.1", (311.46, 1981.88))
    for answer, words in [
        ((1981.9, 311.5), "exchanged"),
        ((17.3, 1981.9), "18 layers"),
        ((3238, 1981.9), "action expert's layers alone"),
        ((311.5, 2293.4), "no action expert"),
        ((311.5, 2508.5), "looked up"),
        ((311.5, 3238), "VLM's layers"),
        (311.5, "two numbers"),
    ]:
        refused(capsys, "06.1", answer, words)


def test_insulate(capsys):
    assert check("06.2", lambda cache: [(k.detach(), v.detach()) for k, v in cache])
    for answer, words in [
        (lambda cache: cache, "through the keys"),
        (lambda cache: [(k.detach(), v) for k, v in cache], "through the values"),
        (lambda cache: [(0 * k.detach(), v.detach()) for k, v in cache], "numbers changed"),
        (lambda cache: [(k.detach(), v.detach()) for k, v in cache[:1]], "2 layers"),
        (lambda cache: [k.detach() for k, v in cache], "pair of keys and values"),
        (lambda cache: None, "list of (keys, values)"),
        (lambda cache: [(k.detach_(), v.detach_()) for k, v in cache], "make new tensors"),
    ]:
        refused(capsys, "06.2", answer, words)


def freeze(*parts):
    def apply(model):
        for name, weights in model.named_parameters():
            if name.startswith(parts):
                weights.requires_grad_(False)

    return apply


def test_freeze(capsys):
    assert check("06.3", freeze("vision.", "projector.", "embedding.", "experts.vlm."))
    for answer, words in [
        (freeze("experts.vlm."), "vision tower"),
        (freeze("experts.vlm.", "vision."), "projector"),
        (freeze("experts.vlm.", "vision.", "projector."), "embedding"),
        (freeze("vision.", "projector.", "embedding."), "VLM's layers"),
        (freeze("experts.", "vision.", "projector.", "embedding."), "must learn"),
        (lambda model: None, "nothing is frozen"),
    ]:
        refused(capsys, "06.3", answer, words)


def test_difference_of_two_roads(capsys):
    points, low, high = (100 * value for value in stored())
    assert check("06.4", (points, low, high))
    refused(capsys, "06.4", (points + 5, low, high), "all seeds")
    refused(capsys, "06.4", (-points, -high, -low), "sign is turned")
    refused(capsys, "06.4", (points, low - 10, high + 10), "equal starts")
    refused(capsys, "06.4", (points / 100, low / 100, high / 100), "100 times")
    with pytest.raises(AssertionError):
        assert check("06.4", points)
