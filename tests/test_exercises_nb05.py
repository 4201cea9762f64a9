"""Notebook 05's checks: right answers pass, each typical wrong one is told its mistake."""

import pytest
import torch

from minipi0 import flow
from minipi0.exercises import check
from minipi0.pi0 import block_mask, time_embedding


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


def order(starts):
    block = starts.cumsum(0)
    return block[None, :] <= block[:, None]


def keys_alone(starts, valid):
    """Padded queries are nobody's input: their rows may be anything."""
    return order(starts) & valid[:, None, :]


def line(actions, noise, tau):
    """`flow.interpolate` without its checks."""
    tau = tau.reshape(-1, 1, 1)
    return tau * actions + (1 - tau) * noise


def train_step(
    model,
    optimizer,
    observation,
    actions,
    times=flow.sample_tau,
    at=flow.interpolate,
    target=flow.velocity_target,
    zero=True,
    backward=True,
    step=True,
    number=lambda loss: loss,
):
    noise, tau = torch.randn_like(actions), times(len(actions))
    velocity = model.velocity(observation, at(actions, noise, tau), tau)
    loss = (velocity - target(actions, noise)).pow(2).mean()
    if zero:
        optimizer.zero_grad()
    if backward:
        loss.backward()
    if step:
        optimizer.step()
    return number(loss)


RIGHT = {
    "05.1": [block_mask, keys_alone],
    "05.2": [train_step, lambda *args: train_step(*args, number=lambda loss: loss.item())],
    "05.3": [(1326, 8670), [1326, 8670]],
    "05.4": [sample],
    "05.5": [109_056_000, 109_056_000.0],
}

WRONG = [
    ("05.1", lambda starts, valid: None, "shape (B, T, T)"),
    ("05.1", lambda starts, valid: order(starts) & valid[:, :, None], "real queries see padding"),
    (
        "05.1",
        lambda starts, valid: order(starts).T & valid[:, None, :] & valid[:, :, None],
        "rows are queries",
    ),
    (
        "05.1",
        lambda starts, valid: ~order(starts).T & valid[:, None, :] & valid[:, :, None],
        "<=, not <",
    ),
    ("05.1", lambda starts, valid: order(starts).expand(2, -1, -1), "real queries see padding"),
    ("05.1", lambda starts, valid: block_mask(starts, valid).tril(), "block is not later"),
    ("05.2", lambda model, *args: model.loss(*args), "model.velocity"),
    ("05.2", lambda *args: 0.0, "yours 0 times"),
    (
        "05.2",
        lambda *args: train_step(*args, times=lambda n: torch.rand(1), at=line),
        "a tau of its own",
    ),
    (
        "05.2",
        lambda *args: train_step(*args, times=lambda n: torch.full((n,), 0.5)),
        "one per item",
    ),
    (
        "05.2",
        lambda *args: train_step(*args, times=lambda n: 2 * torch.rand(n), at=line),
        "between 0 and 1",
    ),
    ("05.2", lambda *args: train_step(*args, at=lambda a, e, t: e[:1]), "noisy actions of shape"),
    (
        "05.2",
        lambda *args: train_step(*args, at=lambda a, e, t: flow.interpolate(e, a, t)),
        "your tau = 0 is the action",
    ),
    (
        "05.2",
        lambda *args: train_step(*args, at=lambda a, e, t: flow.interpolate(a, 3 * e, t)),
        "mean 0 and size 1",
    ),
    ("05.2", lambda *args: train_step(*args, target=lambda a, e: e - a), "from the noise to"),
    ("05.2", lambda *args: train_step(*args, target=lambda a, e: a), "mean of (velocity"),
    ("05.2", lambda *args: train_step(*args, number=lambda loss: None), "one number"),
    ("05.2", lambda *args: train_step(*args, backward=False), "no gradient"),
    ("05.2", lambda *args: train_step(*args, zero=False), "added up"),
    ("05.2", lambda *args: train_step(*args, step=False), "did not move"),
    ("05.2", lambda *args: torch.manual_seed(1) and train_step(*args), "the same noise"),
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
