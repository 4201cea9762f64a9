"""Notebook 12's checks: right answers pass, each typical wrong one is told its mistake.

The capstone is trained for real, once each way.
"""

import pytest
import torch
import torch.nn.functional as F

from minipi0 import Pi0, Pi0Config
from minipi0.exercises import check, nb12


def adapter(state, mean, std, width):
    return F.pad((state - mean) / std, (0, width - len(state)))


def absolute(deltas, state, is_delta):
    return torch.where(is_delta, deltas + state[:, None], deltas)


def in_place(deltas, state, is_delta):
    deltas += state[:, None] * is_delta
    return deltas


def line(actions, noise, tau):
    return tau[:, None] * actions + (1 - tau[:, None]) * noise


def slope(actions, noise):
    return actions - noise


def objective(
    network,
    actions,
    times=lambda n: torch.rand(n),
    target=slope,
    weight=1.0,
    told=lambda tau: tau,
    scale=1.0,
    at=line,
):
    noise, tau = torch.randn_like(actions), times(len(actions))
    return (
        scale * (network(at(actions, noise, tau), told(tau)) - target(actions, noise)).pow(2).mean()
    )


def follow(network, x, steps, times=lambda i, n: i / n, step=lambda n: 1 / n, calls=lambda n: n):
    for i in range(calls(steps)):
        x = x + network(x, torch.full((len(x),), float(times(i, steps)))) * step(steps)
    return x


def with_(**changes):
    """The right capstone with one part changed."""
    return tuple((dict(line=line, slope=slope, loss=objective, euler=follow) | changes).values())


RIGHT = {
    "12.1": [12.141],
    "12.2": [(532, 582), [532, 582]],
    "12.3": [adapter],
    "12.4": [(5, 18)],
    "12.5": [absolute],
    "12.6": [with_(), with_(euler=lambda f, x, n: follow(lambda y, tau: f(y, tau[:1]), x, n))],
}

WRONG = [
    ("12.1", "much", "one number"),
    ("12.1", 12_140_933_216, "in bytes"),
    ("12.1", 11.307, "GiB"),
    ("12.1", (2 * 2_923_335_408 + 16 * 314_713_120) / 1e9, "of the 20 bytes something is missing"),
    ("12.1", (2 * 2_923_335_408 + 12 * 314_713_120) / 1e9, "two moments"),
    ("12.1", (4 * 2_923_335_408 + 20 * 314_713_120) / 1e9, "2 bytes a parameter"),
    ("12.1", 20 * 314_713_120 / 1e9, "must be in memory as well"),
    ("12.1", 64.76, "full fine-tuning"),
    ("12.1", 1.0, "20 for each"),
    ("12.2", 532, "two whole numbers"),
    ("12.2", (816, 866), "places in the row"),
    ("12.2", (788, 838), "masked camera's 256"),
    ("12.2", (560, 610), "28 of the 48"),
    ("12.2", (533, 583), "count from 0"),
    ("12.2", (276, 326), "two cameras"),
    ("12.2", (532, 581), "follow it one by one"),
    ("12.2", (1, 2), "20 real text tokens"),
    ("12.3", lambda state, mean, std, width: adapter(state, mean, std, len(state)), "shape (8,)"),
    ("12.3", lambda state, mean, std, width: F.pad(state, (0, 5)), "does not normalise"),
    ("12.3", lambda state, mean, std, width: F.pad(state / std - mean, (0, 5)), "divided before"),
    ("12.3", lambda state, mean, std, width: F.pad((state - mean) / std**2, (0, 5)), "once"),
    (
        "12.3",
        lambda state, mean, std, width: F.pad((state - mean) / std, (5, 0)),
        "own dims come first",
    ),
    (
        "12.3",
        lambda state, mean, std, width: F.pad((state + mean) / std, (0, 5)),
        "(state - mean) / std",
    ),
    (
        "12.3",
        lambda state, mean, std, width: F.pad((state - mean) / std, (0, 5), value=float("nan")),
        "0 / 0",
    ),
    (
        "12.3",
        lambda state, mean, std, width: F.pad((state - mean) / std, (0, 5), value=-1.0),
        "must be 0 after",
    ),
    (
        "12.3",
        lambda state, mean, std, width: F.pad((state - mean) / std, (0, 5)),
        "depends on both",
    ),
    ("12.4", 5, "two whole numbers"),
    ("12.4", (18, 5), "other order"),
    ("12.4", (22, 18), "forgets images and prefix"),
    ("12.4", (6, 18), "Round down"),
    ("12.4", (8, 18), "in proportion"),
    ("12.4", (0, 18), "are for ten"),
    ("12.4", (3, 18), "46 + 2.7 n"),
    ("12.4", (5, 17), "just less"),
    ("12.4", (5, 3), "2.7 n > 14 + 32"),
    ("12.5", lambda deltas, state, is_delta: deltas[:, 0], "expected a tensor"),
    ("12.5", in_place, "changed its input"),
    ("12.5", lambda deltas, state, is_delta: deltas + state[:, None], "absolute already"),
    (
        "12.5",
        lambda deltas, state, is_delta: torch.where(
            is_delta, deltas.cumsum(1) + state[:, None], deltas
        ),
        "no cumulative sum",
    ),
    (
        "12.5",
        lambda deltas, state, is_delta: torch.where(is_delta, deltas - state[:, None], deltas),
        "the sign",
    ),
    (
        "12.5",
        lambda deltas, state, is_delta: torch.cat(
            [deltas[..., :2] + state[:, None, :2], deltas[..., 2:]], -1
        ),
        "same state for",
    ),
    ("12.5", lambda deltas, state, is_delta: deltas.clone(), "same state for all H"),
    ("12.6", line, "four functions"),
    ("12.6", with_(line=lambda a, e, tau: tau * a + (1 - tau) * e), "(B, 1)"),
    ("12.6", with_(line=lambda a, e, tau: line(e, a, tau)), "there tau = 0 is the action"),
    ("12.6", with_(line=lambda a, e, tau: line(a, e, tau**2)), "straight line"),
    ("12.6", with_(slope=lambda a, e: e - a), "points back to the noise"),
    ("12.6", with_(slope=lambda a, e: a), "not how fast"),
    ("12.6", with_(slope=lambda a, e: 2 * (a - e)), "derivative"),
    ("12.6", with_(euler=lambda f, x, n: None), "noise's shape"),
    (
        "12.6",
        with_(euler=lambda f, x, n: follow(f, x, n, calls=lambda n: 1, step=lambda n: 1)),
        "asked 1 times",
    ),
    ("12.6", with_(euler=lambda f, x, n: follow(f, x, n, step=lambda n: -1 / n)), "the sign"),
    ("12.6", with_(euler=lambda f, x, n: follow(f, x, n, step=lambda n: 1)), "1 / steps long"),
    ("12.6", with_(euler=lambda f, x, n: follow(f, x, n, step=lambda n: 0.1)), "exactly 1"),
    (
        "12.6",
        with_(euler=lambda f, x, n: follow(f, x, n, times=lambda i, n: 1 - i / n)),
        "runs down from 1",
    ),
    (
        "12.6",
        with_(euler=lambda f, x, n: follow(f, x, n, times=lambda i, n: (i + 1) / n)),
        "first tau is 1/4",
    ),
    (
        "12.6",
        with_(euler=lambda f, x, n: follow(f, x, n, times=lambda i, n: 0.5)),
        "expected 0, 1/4, 2/4, 3/4",
    ),
    (
        "12.6",
        with_(euler=lambda f, x, n: follow(lambda y, tau: f(y, tau[:2]), x, n)),
        "one number per item",
    ),
    (
        "12.6",
        with_(euler=lambda f, x, n: follow(lambda y, tau: f(y, tau[0].item()), x, n)),
        "as a float",
    ),
    ("12.6", with_(loss=lambda f, a: (f(a, torch.rand(len(a))) - a) ** 2), "one number"),
    (
        "12.6",
        with_(loss=lambda f, a: objective(f, a, told=lambda tau: tau[:1])),
        "a tau of its own",
    ),
    (
        "12.6",
        with_(loss=lambda f, a: objective(f, a, times=lambda n: 0.5 * torch.rand(n))),
        "cover [0, 1]",
    ),
    (
        "12.6",
        with_(loss=lambda f, a: (f(a, torch.linspace(0, 1, len(a))) - a).pow(2).mean()),
        "same number each time",
    ),
    ("12.6", with_(loss=lambda f, a: objective(f, a, scale=2.0)), "not a sum"),
    (
        "12.6",
        with_(loss=lambda f, a: objective(f, a, target=lambda a, e: 3 * (a - e))),
        "on average",
    ),
    ("12.6", with_(loss=lambda f, a: objective(f, a, at=lambda a, e, tau: 0 * a)), "neither mode"),
]


@pytest.mark.parametrize(
    "number, answer", [(n, a) for n, answers in RIGHT.items() for a in answers]
)
def test_right_answers_pass(number, answer, capsys):
    assert check(number, answer), capsys.readouterr().out


@pytest.mark.parametrize("number, answer, hint", WRONG)
def test_wrong_answers_are_told_why(number, answer, hint, capsys):
    assert not check(number, answer)
    assert hint in capsys.readouterr().out


def test_the_capstone_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check("12.6", with_(slope=lambda a, e: e - a))
    check("12.6", with_(loss=lambda f, a: objective(f, a, scale=2.0)))
    assert torch.equal(torch.rand(3), expected)


def test_the_sizes_that_12_1_counts_with():
    with torch.device("meta"):
        model = Pi0(Pi0Config.full())
    sizes = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    assert sum(p.numel() for p in model.experts.action.parameters()) == nb12.EXPERT
    assert (
        sum(
            count
            for name, count in sizes.items()
            if "proj" in name and name != "projector" or "mlp" in name
        )
        == nb12.PROJECTIONS
    )
    assert sum(sizes.values()) == nb12.ALL
