"""Notebook 05's checks: right answers pass, each typical wrong one is told its mistake."""

import pytest
import torch

from minipi0 import flow
from minipi0.exercises import check
from minipi0.pi0 import time_embedding


def sample(model, observation, noise, steps, again=False, times=lambda i, n: i / n, step=None):
    encoded, x = model.encode(observation), noise
    for i in range(steps):
        encoded = model.encode(observation) if again else encoded
        time = time_embedding(
            torch.tensor([times(i, steps)], dtype=torch.float64), model.config.action_expert.width
        )
        x = x + (step or 1 / steps) * model.decode(encoded, observation.state, x, time)
    return x


def without_cache(model, observation, noise, steps):
    return flow.euler(lambda x, tau: model.velocity(observation, x, tau), noise, steps)


RIGHT = {
    "05.1": [[0, 1, 2, 3, 3, 3, 4, 5, 6, 7], torch.tensor([0, 1, 2, 3, -1, -1, 4, 5, 6, 7])],
    "05.2": [
        [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        [1, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1]),
    ],
    "05.3": [(1326, 8670), [1326, 8670]],
    "05.4": [sample],
    "05.5": [109_056_000, 109_056_000.0],
}

WRONG = [
    ("05.1", "abc", "ten whole numbers"),
    ("05.1", [0, 1, 2, 3, 4, 5, 6, 7], "padded ones included"),
    ("05.1", list(range(10)), "padding advances the count"),
    ("05.1", [1, 2, 3, 4, 4, 4, 5, 6, 7, 8], "count from 1"),
    ("05.1", [0, 1, 2, 3, 0, 0, 0, 1, 2, 3], "does not start again at 0"),
    ("05.1", [0] * 10, "cumsum"),
    ("05.2", "x", "a list of ten"),
    ("05.2", [0, 1], "ten entries"),
    ("05.2", [0, 0, 0, 0, 1, 1, 0, 0, 0, 0], "pi0's own chunk"),
    ("05.2", [1] * 10, "no block begins inside the prefix"),
    ("05.2", [0, 0, 0, 0, 0, 1, 1, 1, 1, 1], "must begin a block"),
    ("05.2", [0, 0, 0, 0, 1, 0, 1, 1, 1, 1], "the first action must begin"),
    ("05.2", [0, 0, 0, 0, 1, 1, 1, 0, 1, 1], "still sees a later one"),
    ("05.3", 1326, "two whole numbers"),
    ("05.3", (8670, 1326), "other order"),
    ("05.3", (1316, 8660), "the state is a token too"),
    ("05.3", (867, 8670), "not the ten Euler steps"),
    ("05.3", (1000, 8670), "prefix tokens once"),
    ("05.3", (1326, 867), "in every step"),
    ("05.4", lambda *args: None, "expected an action chunk"),
    ("05.4", without_cache, "You encoded it 4 times"),
    ("05.4", lambda model, o, noise, n: model.encode(o) and noise, "you asked 0 times"),
    ("05.4", lambda model, o, noise, n: noise, "use model.encode and model.decode"),
    (
        "05.4",
        lambda model, o, noise, n: model.sample_actions(o, noise, steps=n),
        "use model.encode and model.decode",
    ),
    ("05.4", lambda *args: sample(*args, again=True), "You encoded it 5 times"),
    ("05.4", lambda *args: sample(*args, times=lambda i, n: (i + 1) / n), "your first tau is 1/4"),
    ("05.4", lambda *args: sample(*args, times=lambda i, n: 1 - i / n), "runs down from 1"),
    ("05.4", lambda *args: sample(*args, step=1.0), "1/steps long"),
    ("05.4", lambda *args: sample(*args, step=-0.25), "the sign"),
    ("05.4", lambda *args: sample(*args, times=lambda i, n: 0.5), "yet another result"),
    ("05.5", "many", "one whole number"),
    ("05.5", 104_861_696, "queries are missing"),
    ("05.5", 109_058_048, "first norm still shapes"),
    ("05.5", 109_051_904, "two norms are idle"),
    ("05.5", 75_501_568, "three matrices"),
    ("05.5", 110_104_576, "not the whole last layer"),
    ("05.5", 7, "only keys and values are read"),
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


def test_the_idle_parameters_are_those_without_a_gradient():
    """05.5's number, from a model: all that gets no gradient or an all-zero one, scaled up by hand
    to the full size.
    """
    from minipi0.exercises.nb05 import tiny

    model, observation, noise = tiny()
    model.loss(observation, noise, noise=-noise, tau=torch.tensor([0.2, 0.7])).backward()
    idle = {name: p for name, p in model.named_parameters() if p.grad is None}
    last_layer = [
        f"layers.1.{part}" for part in ("attention_out", "mlp_norm", "gate", "up", "down")
    ]
    assert set(idle) == {f"experts.vlm.{name}.weight" for name in ("norm", *last_layer)}
    last = model.experts.vlm.layers[1].qkv.weight.grad
    assert not last[:16].any() and last[16:].any()  # 2 heads of 8: the queries' rows
    assert 8 * 256 * 2048 * 2 + 2 * 2048 + 3 * 2048 * 16384 == 109_056_000
