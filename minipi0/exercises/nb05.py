"""Checks of notebook 05's exercises: a mask that leaks, a training step, what caching saves, the
cached sampler, parameters without a gradient.
"""

import torch
from torch import nn

from minipi0 import ExpertConfig, Observation, Pi0, Pi0Config, VisionConfig, flow
from minipi0.exercises import exercise
from minipi0.exercises.answers import Wrong, near, numbers
from minipi0.pi0 import block_mask, time_embedding


class Probe(nn.Module):
    """A stand-in for a Pi0 whose velocity is the same number w everywhere, so that the right loss
    and the right gradient are known. It remembers what it was asked.
    """

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.7))
        self.asked: list[tuple[torch.Tensor, torch.Tensor]] = []

    def velocity(self, observation, noisy_actions, tau):
        self.asked.append((noisy_actions.detach(), torch.as_tensor(tau).detach()))
        return self.w.expand_as(noisy_actions)

    def loss(self, *args, **kwargs):
        raise Wrong("write it with model.velocity: model.loss hides what this is about.")


@exercise("05.1")
def mask_without_a_leak(answer):
    """mask(starts bool[T], valid bool[B, T]) -> bool[B, T, T], as `block_mask`. The rows of padded
    queries are nobody's input and may be anything.
    """
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        starts = torch.rand(9, generator=generator) < 0.3
        valid = torch.rand(2, 9, generator=generator) < 0.7
        got, right = answer(starts, valid), block_mask(starts, valid)
        if not isinstance(got, torch.Tensor) or got.shape != right.shape:
            return f"expected a tensor of shape (B, T, T), here {tuple(right.shape)}"
        got = got.bool()
        block = starts.cumsum(0)
        order = block[None, :] <= block[:, None]  # (queries, keys)
        wrongs = [
            (order & valid[:, :, None], "padded keys are still allowed: real queries see padding."),
            (
                order.T & valid[:, None, :] & valid[:, :, None],
                "your rows see later blocks: rows are queries, columns are keys.",
            ),
            (
                (block[None, :] < block[:, None]) & valid[:, None, :] & valid[:, :, None],
                "a token sees its own block too: <=, not <.",
            ),
        ]
        for wrong, message in wrongs:
            if torch.equal(got[valid], wrong[valid]) and not torch.equal(got[valid], right[valid]):
                return message
        if not torch.equal(got[valid], right[valid]):
            return "a query may attend to a key if the key is real and its block is not later."


@exercise("05.2")
def training_step(answer):
    """train_step(model, optimizer, observation, actions) -> loss: noise, tau, loss, gradient,
    step.
    """
    model, actions = Probe(), torch.full((64, 4, 3), 5.0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    noises = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for call in range(1, 3):
            before = model.w.item()
            loss = answer(model, optimizer, None, actions)
            if len(model.asked) != call:
                return f"one step asks model.velocity once, yours {len(model.asked)} times"
            wrong = _asked(*model.asked[-1], actions) or _stepped(model, loss, before, actions)
            if wrong:
                return wrong
            noises.append(_noise(*model.asked[-1], actions))
    if torch.allclose(*noises, atol=1e-3):
        return "both calls drew the same noise: draw new noise in every step."


def _noise(noisy, tau, actions):
    tau = tau.reshape(-1, 1, 1)
    return (noisy - tau * actions) / (1 - tau)


def _asked(noisy, tau, actions):
    if noisy.shape != actions.shape:
        return f"the network expects noisy actions of shape {tuple(actions.shape)}"
    if tau.shape != actions.shape[:1]:
        return "every item needs a tau of its own: flow.sample_tau(len(actions))."
    if tau.unique().numel() == 1:
        return "all items have the same tau: draw one per item."
    if tau.min() < 0 or tau.max() >= 1:
        return "tau lies between 0 and 1: flow.sample_tau draws it."
    noise = _noise(noisy, tau, actions)
    if abs(_noise(noisy, 1 - tau, actions).mean()) < 0.2 < abs(noise.mean()):
        return "your tau = 0 is the action. Here it is the noise: tau A + (1 - tau) eps."
    if abs(noise.mean()) > 0.2 or abs(noise.std() - 1) > 0.2:
        return "the network must see tau A + (1 - tau) eps, with eps of mean 0 and size 1."


def _stepped(model, loss, before, actions):
    target = actions - _noise(*model.asked[-1], actions)
    right, opposite = ((before - sign * target).pow(2).mean().item() for sign in (1, -1))
    if not isinstance(loss, float | torch.Tensor) or torch.as_tensor(loss).numel() != 1:
        return "return the loss, one number"
    loss = torch.as_tensor(loss).detach()
    if near(loss, opposite, 0.01 * opposite):
        return "the target is A - eps: from the noise to the action."
    if not near(loss, right, 0.01 * right):
        return f"the loss should be the mean of (velocity - (A - eps))², {right:.2f} here"
    if model.w.grad is None:
        return "no gradient was computed: loss.backward() before optimizer.step()."
    gradient = 2 * (before - target).mean().item()
    if not near(model.w.grad, gradient, 0.01 * abs(gradient)):
        return "gradients of two steps were added up: optimizer.zero_grad() before loss.backward()."
    if not near(model.w.detach(), before - 0.1 * gradient, 1e-3 * abs(gradient)):
        return "the weights did not move by one step: optimizer.step(), once, after the gradient."


@exercise("05.3")
def tokens_through_the_network(answer):
    """Full size, 3 cameras, 48 text tokens, 10 steps: tokens through a layer (with the cache,
    without).
    """
    cached, naive = numbers(answer, "with the cache, without", whole=True)
    if (cached, naive) == (8670, 1326):
        return "both numbers are right, in the other order: (with the cache, without)."
    if (cached, naive) == (1316, 8660):
        return "50 actions are not the whole suffix: the state is a token too."
    if cached == 867:
        return (
            "the cache saves the prefix, not the ten Euler steps: "
            "the 51 suffix tokens go through ten times."
        )
    if cached != 816 + 510:
        return (
            "with the cache: 3 · 256 + 48 prefix tokens once, and 51 suffix tokens in each of "
            "ten steps."
        )
    if naive != 8670:
        return (
            "the first number is right. Without the cache all 867 tokens go through in every step."
        )


def tiny() -> tuple[Pi0, Observation, torch.Tensor]:
    """A small random model with an observation and noise."""
    sizes = dict(depth=2, num_heads=2, num_kv_heads=1, head_dim=8)
    config = Pi0Config(
        vlm=ExpertConfig(width=24, mlp_dim=32, **sizes),
        action_expert=ExpertConfig(width=16, mlp_dim=32, **sizes),
        vision=VisionConfig(
            image_size=16, patch_size=8, width=16, depth=1, num_heads=2, mlp_dim=32
        ),
        vocab_size=40,
        action_dim=3,
        state_dim=2,
        horizon=4,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Pi0(config).eval()
        observation = Observation(
            images=torch.rand(2, 1, 3, 16, 16) * 2 - 1,
            image_mask=torch.ones(2, 1, dtype=torch.bool),
            tokens=torch.randint(0, 40, (2, 5)),
            token_mask=torch.ones(2, 5, dtype=torch.bool),
            state=torch.randn(2, 2),
        )
        return model, observation, torch.randn(2, 4, 3)


@exercise("05.4")
def cached_sampler(answer):
    """sample(model, observation, noise, steps) with encode once and decode in every step."""
    model, observation, noise = tiny()
    encode, decode, whole, calls = model.encode, model.decode, model.sample_actions, []
    model.encode = lambda *args: calls.append("encode") or encode(*args)
    model.decode = lambda *args: calls.append("decode") or decode(*args)
    model.sample_actions = lambda *args, **kwargs: (
        calls.append("sample_actions") or whole(*args, **kwargs)
    )
    with torch.no_grad():
        got = answer(model, observation, noise, 4)
    if not isinstance(got, torch.Tensor) or got.shape != noise.shape:
        return f"expected an action chunk of shape {tuple(noise.shape)}"
    if not calls or "sample_actions" in calls:
        return (
            "use model.encode and model.decode: model.sample_actions and model.velocity hide "
            "what this is about."
        )
    if calls.count("encode") > 1:
        return (
            "the prefix does not depend on tau: encode it once, before the loop. "
            f"You encoded it {calls.count('encode')} times."
        )
    if calls.count("decode") != 4:
        return f"4 steps ask the action expert 4 times, you asked {calls.count('decode')} times"

    def euler(times, step):
        encoded, x = encode(observation), noise
        for t in times:
            time = time_embedding(
                torch.tensor([t], dtype=torch.float64), model.config.action_expert.width
            )
            x = x + step * decode(encoded, observation.state, x, time)
        return x

    early, late = (0.0, 0.25, 0.5, 0.75), (0.25, 0.5, 0.75, 1.0)
    wrongs = {
        (late, 1 / 4): "your first tau is 1/4: the first step starts at the noise, tau = 0.",
        (late[::-1], 1 / 4): "your tau runs down from 1: here tau = 0 is noise, not t = 1 - tau.",
        (early, 1.0): "each step is 1/steps long: x + v / steps.",
        (early, -1 / 4): "the sign: the velocity points from noise to action, so it is added.",
    }
    with torch.no_grad():
        for (times, step), hint in wrongs.items():
            if torch.allclose(got, euler(times, step), atol=1e-5):
                return hint
        right = flow.euler(lambda x, tau: model.velocity(observation, x, tau), noise, 4)
    if not torch.allclose(got, right, atol=1e-5):
        return (
            "encoded once, decoded four times, yet another result: "
            "tau = i / steps, x <- x + v / steps, the state each time?"
        )


@exercise("05.5")
def parameters_that_learn_nothing(answer):
    """Full size: parameters of the VLM's layers and norm that the action loss never reaches."""
    [got] = numbers(answer, "parameters", whole=True)
    out, queries, norms, mlp = 8 * 256 * 2048, 2048 * 8 * 256, 2 * 2048, 3 * 2048 * 16384
    if got == out + norms + mlp:
        return (
            "nearly: the last layer's queries are missing. Nobody asks anything there any more, "
            "only its keys and values are read."
        )
    if got == out + queries + norms + mlp + 2048:
        return (
            "too many: the last layer's first norm still shapes its keys and values. "
            "Of the norms, the second and the final one idle."
        )
    if got == out + queries + mlp or got == out + queries + mlp + 2048:
        return (
            "two norms are idle as well: the one before the last layer's MLP and the final one, "
            "2048 numbers each."
        )
    if got == out + queries + norms + 2 * 2048 * 16384:
        return "the MLP has three matrices, not two: gate, up and down."
    if got in (110_104_576, 110_104_576 + 2048):
        return "not the whole last layer: its keys and values are read by the action expert."
    if got != out + queries + norms + mlp:
        return (
            "of the last layer only keys and values are read. Idle are its queries, attention "
            "output, MLP, a norm; and the final norm."
        )
