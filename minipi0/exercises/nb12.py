"""Checks of notebook 12's exercises: memory, positions, the robot's adapter, a latency budget,
delta actions; the capstone.

The capstone's toy, its small network and its training loop stand here too, so that only flow
matching is left to write.
"""

import torch
from torch import Tensor, nn

from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers

EXPERT, PROJECTIONS, ALL = 311_464_960, 3_248_160, 3_238_048_528  # full size


@exercise("12.1")
def memory_of_the_expert_alone(answer):
    """GB for training expert and projections in float32 (20 bytes each) beside a VLM frozen in
    bf16.
    """
    [got] = numbers(answer, "gigabytes (1 GB = 1e9 bytes)")
    trained = EXPERT + PROJECTIONS
    frozen = ALL - trained
    right = (2 * frozen + 20 * trained) / 1e9
    for wrong, message in [
        (right * 1e9, "that is in bytes: divide by 1e9."),
        (right * 1e9 / 2**30, "that is in GiB, 2^30 bytes. Here a GB is 1e9 bytes."),
        (
            (2 * frozen + 16 * trained) / 1e9,
            "of the 20 bytes something is missing: weight, gradient, two moments AND the average.",
        ),
        (
            (2 * frozen + 12 * trained) / 1e9,
            "Adam keeps two moments per parameter, and the average is a copy too: 5 times 4 bytes.",
        ),
        ((4 * frozen + 20 * trained) / 1e9, "the frozen VLM is in bf16: 2 bytes a parameter."),
        (
            20 * trained / 1e9,
            "the frozen VLM must be in memory as well: nothing is trained there, but it runs.",
        ),
        (
            20 * ALL / 1e9,
            "that is full fine-tuning. The VLM's parameters need no gradient, no moments and no "
            "average.",
        ),
        (
            (2 * (ALL - EXPERT) + 20 * EXPERT) / 1e9,
            "the five projections around the expert are trained too.",
        ),
    ]:
        if abs(got - wrong) < 0.002 * wrong:
            return message
    if not near(got, right, 0.004 * right):
        return (
            f"2 bytes for each of the {frozen:,} frozen parameters, 20 for each of the "
            f"{trained:,} trained ones."
        )


@exercise("12.2")
def positions_of_a_smaller_robot(answer):
    """Slots: camera, masked, camera; 48 text tokens of which 20 are real; state; 50 actions.
    (state's position, last action's)
    """
    names = "position of the state, position of the last action"
    state, last = numbers(answer, names, whole=True)
    if (state, last) == (816, 866):
        return "those are places in the row. Positions count real tokens only: cumsum(valid) - 1."
    if (state, last) == (788, 838):
        return "the masked camera's 256 tokens do not count either."
    if (state, last) == (560, 610):
        return "28 of the 48 text tokens are padding: they do not advance the position."
    if (state, last) == (533, 583):
        return "count from 0: positions are cumsum(valid) - 1."
    if (state, last) == (276, 326):
        return "two cameras are real, not one."
    if state == 532 and last != 582:
        return "the state is right. The 50 actions follow it one by one."
    if (state, last) != (532, 582):
        return "before the state stand 2 · 256 real image tokens and 20 real text tokens."


@exercise("12.3")
def adapter(answer):
    """to_model(state, mean, std, width) -> (width,): z-scored, then zero-padded."""
    generator = torch.Generator().manual_seed(0)
    state, mean, std = (
        torch.randn(3, generator=generator),
        torch.tensor([5.0, -3.0, 0.5]),
        torch.tensor([2.0, 0.1, 4.0]),
    )
    got = answer(state, mean, std, 8)
    if not isinstance(got, Tensor) or got.shape != (8,):
        return (
            "expected a tensor of shape (8,) for width 8, got "
            f"{tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__}"
        )
    scored = (state - mean) / std
    if torch.allclose(got[:3], state):
        return (
            "that pads, but does not normalise: subtract the mean, divide by the standard "
            "deviation."
        )
    if torch.allclose(got[:3], state / std - mean):
        return "divided before subtracting: the mean is in the robot's units, so subtract it first."
    if torch.allclose(got[:3], (state - mean) / std**2) or torch.allclose(
        got[:3], (state - mean) * std
    ):
        return "subtracting is right; divide by the standard deviation, once."
    if torch.allclose(got[5:], scored):
        return "the robot's own dims come first, the zeros behind them."
    if not torch.allclose(got[:3], scored, atol=1e-5):
        return "the first three dims should be (state - mean) / std."
    if got[3:].isnan().any() or got[3:].isinf().any():
        return "you normalised the padding: 0 / 0. Normalise first, then pad."
    if got[3:].any():
        return (
            "the padded dims must be 0 after normalisation: normalise first, then pad with zeros."
        )
    got = answer(state[:2], mean[:2], std[:2], 32)
    if (
        not isinstance(got, Tensor)
        or got.shape != (32,)
        or not torch.allclose(got[:2], scored[:2], atol=1e-5)
    ):
        return (
            "right for 3 numbers and width 8, wrong for 2 and width 32: "
            "how many zeros there are depends on both."
        )


@exercise("12.4")
def steps_in_a_budget(answer):
    """The paper's times, 14 + 32 + 2.7 n ms: (most steps within 60 ms, fewest steps for which
    the passes take more than half).
    """
    names = "most steps within 60 ms, fewest steps that take more than half of the time"
    most, fewest = numbers(answer, names, whole=True)
    if (most, fewest) == (18, 5):
        return "both are right, in the other order."
    if most == 22:
        return "60 / 2.7 forgets images and prefix, 46 ms, which are paid once whatever the steps."
    if most == 6:
        return "six steps take 46 + 16.2 = 62.2 ms: too long. Round down."
    if most == 8:
        return "the 73 ms do not shrink in proportion: only the 27 ms belong to the steps."
    if most == 0:
        return "one pass takes 2.7 ms: the 27 ms in the table are for ten."
    if most != 5:
        return "46 + 2.7 n must stay within 60 ms."
    if fewest == 17:
        return "at 17 steps the passes take 45.9 ms, just less than the 46 ms of images and prefix."
    if fewest != 18:
        return "the first is right. For the second: 2.7 n > 14 + 32."


@exercise("12.5")
def from_deltas(answer):
    """to_absolute(deltas (B, H, D), state (B, D), is_delta (D,)) -> absolute targets; others
    pass through.
    """
    generator = torch.Generator().manual_seed(1)
    deltas, state = (
        torch.randn(2, 5, 3, generator=generator),
        torch.randn(2, 3, generator=generator),
    )
    is_delta = torch.tensor(
        [True, False, True]
    )  # not the last: "all but the last" would be another function
    before = deltas.clone()
    got = answer(deltas, state, is_delta)
    if not isinstance(got, Tensor) or got.shape != deltas.shape:
        return f"expected a tensor of shape {tuple(deltas.shape)}"
    if not torch.equal(deltas, before):
        return (
            "your function changed its input: the same chunk converted twice would move twice. "
            "Work on a copy."
        )
    everything = deltas + state[:, None]
    right = torch.where(is_delta, everything, deltas)
    if torch.allclose(got, everything):
        return (
            "some commands, like the gripper's, are absolute already: "
            "leave the dims where is_delta is False alone."
        )
    for wrong in (
        deltas.cumsum(1) + state[:, None],
        torch.where(is_delta, deltas.cumsum(1) + state[:, None], deltas),
    ):
        if torch.allclose(got, wrong):
            return (
                "no cumulative sum: every delta of the chunk is counted from the state at its "
                "start, not from the action before."
            )
    if torch.allclose(got, torch.where(is_delta, deltas - state[:, None], deltas)):
        return "the sign: delta = action - state, so action = delta + state."
    if not torch.allclose(got, right, atol=1e-6):
        return (
            "where is_delta: the delta plus the state of the same item, the same state for all H "
            "actions."
        )


# ---- the capstone --------------------------------------------------------------------------------

CENTRES = torch.tensor([[-1.0, 0.5], [1.0, -0.5]])


def two_ways(n: int) -> Tensor:
    """n "actions" (n, 2): 30 % of them near (-1, 0.5), 70 % near (1, -0.5), standard deviation
    0.1.
    """
    which = (torch.rand(n) < 0.7).long()
    return CENTRES[which] + 0.1 * torch.randn(n, 2)


class TinyNetwork(nn.Module):
    """network(x (B, 2), tau (B,)) -> (B, 2): three layers, no idea of what it is for."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)
        )

    def forward(self, x: Tensor, tau: Tensor) -> Tensor:
        return self.layers(torch.cat([x, tau.reshape(-1, 1).expand(len(x), 1).to(x)], dim=1))


@exercise("12.6")
def flow_matching_in_twenty_lines(answer):
    """(interpolate, target, loss, sample): each checked by itself, then trained and sampled."""
    if (
        not isinstance(answer, tuple | list)
        or len(answer) != 4
        or not all(callable(part) for part in answer)
    ):
        return "give your four functions: (interpolate, target, loss, sample)"
    interpolate, target, loss, sample = answer
    generator = torch.Generator().manual_seed(2)
    actions, noise = torch.randn(2, 5, 2, generator=generator)
    wrong = _path(
        interpolate, target, actions, noise, torch.rand(5, generator=generator)
    ) or _sampler(sample, noise)
    if wrong:
        return wrong
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _objective(loss, two_ways(256)) or _trained(loss, sample)


def _path(interpolate, target, actions, noise, tau):
    if (
        interpolate(torch.zeros(3, 3), torch.ones(3, 3), torch.tensor([0.0, 0.5, 1.0]))[0]
        .unique()
        .numel()
        > 1
    ):
        return (
            "interpolate: tau is one number per item; in your product it runs along the dims. "
            "Reshape it to (B, 1)."
        )
    got = interpolate(actions, noise, tau)
    if torch.allclose(got, (1 - tau[:, None]) * actions + tau[:, None] * noise):
        return (
            "interpolate: there tau = 0 is the action. Here it is the noise: "
            "tau * action + (1 - tau) * noise."
        )
    if got.shape != actions.shape or not torch.allclose(
        got, tau[:, None] * actions + (1 - tau[:, None]) * noise, atol=1e-6
    ):
        return "interpolate: the straight line, tau * action + (1 - tau) * noise."
    got = target(actions, noise)
    if torch.allclose(got, noise - actions):
        return (
            "target: noise - action points back to the noise. The line's derivative in tau is "
            "action - noise."
        )
    if torch.allclose(got, actions):
        return "target: that is where the line ends, not how fast one moves along it."
    if got.shape != actions.shape or not torch.allclose(got, actions - noise):
        return "target: the derivative of your line in tau, action - noise."


def _sampler(sample, noise):
    times, shapes, kinds = [], set(), set()

    def speed(x, tau):
        kinds.add(type(tau).__name__)
        tau = torch.as_tensor(tau)
        times.append(float(tau.flatten()[0]))
        shapes.add(tuple(tau.shape))
        return torch.ones_like(x)

    got = sample(speed, noise.clone(), 4)
    if not isinstance(got, Tensor) or got.shape != noise.shape:
        return f"sample: expected a tensor of the noise's shape {tuple(noise.shape)}"
    if len(times) != 4:
        return f"sample: 4 steps ask the network 4 times, yours asked {len(times)} times"
    if torch.allclose(got, noise - 1, atol=1e-5):
        return "sample: the sign. The velocity points from noise to action, so it is added."
    if torch.allclose(got, noise + 4, atol=1e-5):
        return "sample: each step is 1 / steps long."
    if not torch.allclose(got, noise + 1, atol=1e-5):
        return (
            "sample: with velocity 1 everywhere, all steps together must move a point by exactly 1."
        )
    if times[0] > 0.9:
        return "sample: your tau runs down from 1. It starts at 0, at the noise."
    if abs(times[0] - 0.25) < 1e-6:
        return "sample: your first tau is 1/4. A step starts where it starts: 0, 1/4, 2/4, 3/4."
    if any(abs(t - i / 4) > 1e-5 for i, t in enumerate(times)):
        return (
            f"sample: the network was asked at tau = {[round(t, 3) for t in times]}, expected 0, "
            "1/4, 2/4, 3/4"
        )
    if kinds != {"Tensor"}:
        return (
            f"sample: tau reached the network as a {kinds.pop()}; "
            "give a tensor, one number per item, (B,)"
        )
    if not shapes <= {(), (1,), (5,), (5, 1)}:
        return (
            f"sample: tau reached the network with shape {shapes.pop()}; "
            "give one number per item, (B,)"
        )


def _objective(loss, actions):
    seen = []

    def network(x, tau):
        seen.append(torch.as_tensor(tau).flatten())
        return torch.zeros_like(x, requires_grad=True)

    values = [loss(network, actions) for _ in range(20)]
    if not all(isinstance(v, Tensor) and v.ndim == 0 for v in values):
        return "loss: return one number, a 0-d tensor (the mean)"
    if any(len(tau) != len(actions) for tau in seen):
        return (
            f"loss: every item needs a tau of its own, (B,) = ({len(actions)},); "
            f"the network was given {len(seen[0])}"
        )
    taus = torch.cat(seen)
    if taus.min() < 0 or taus.max() > 1 or taus.max() < 0.9 or taus.min() > 0.1:
        return f"loss: tau should cover [0, 1], yours lies in [{taus.min():.2f}, {taus.max():.2f}]"
    if len({v.item() for v in values}) == 1:
        return "loss: the same number each time: draw new noise and new tau in every call."
    expected = actions.pow(2).mean().item() + 1  # E (A - eps)^2 for a network that says 0
    mean = sum(v.item() for v in values) / len(values)
    if abs(mean / expected - 2) < 0.15:
        return (
            "loss: twice as large as expected: mean over the dims, not a sum (it trains all the "
            "same; pi0 takes the mean)."
        )
    if abs(mean / expected - 1) > 0.15:
        return (
            f"loss: for a network that always says 0 it should be E(A - eps)² = {expected:.2f} "
            f"on average, yours is {mean:.2f}"
        )


def _trained(loss, sample):
    network = TinyNetwork()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(600):
        value = loss(network, two_ways(256))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    with torch.no_grad():
        samples = sample(network, torch.randn(2000, 2), 10)
    distance = torch.cdist(samples, CENTRES)
    share = (distance.argmin(1) == 1).float().mean().item()
    nowhere = (distance.min(1).values > 0.5).float().mean().item()
    if nowhere > 0.1:
        return (
            f"trained with your loss, {nowhere:.0%} of your samples lie at neither mode: "
            "does the network see A^tau and its own tau, "
            "and is the target the slope of that very line, with the same noise?"
        )
    if abs(share - 0.7) > 0.1:
        return (
            f"both modes are there, but {share:.0%} of the samples are at the right one, where "
            "70 % of the data are"
        )
