"""Checks of notebook 05's exercises: positions, blocks, what caching saves, the cached sampler,
parameters without a gradient.
"""

import torch

from minipi0 import ExpertConfig, Observation, Pi0, Pi0Config, VisionConfig, flow
from minipi0.exercises import exercise
from minipi0.exercises.answers import numbers
from minipi0.pi0 import block_mask, time_embedding

# 2 image tokens, 4 text tokens (2 padded), state, 3 actions
VALID = [True] * 4 + [False] * 2 + [True] * 4


@exercise("05.1")
def positions_with_padding(answer):
    """The ten positions of VALID; those of padded tokens do not matter."""
    names = "one position per token, padded ones included (any value)"
    got = numbers(answer, names, count=10, whole=True)
    real = [p for p, valid in zip(got, VALID, strict=True) if valid]
    if real == [0, 1, 2, 3, 6, 7, 8, 9]:
        return (
            "your padding advances the count. Positions count real tokens only, so the state "
            "follows the last real word."
        )
    if real == [1, 2, 3, 4, 5, 6, 7, 8]:
        return "you count from 1: positions are cumsum(valid) - 1."
    if real == [0, 1, 2, 3, 0, 1, 2, 3]:
        return (
            "the suffix does not start again at 0: it continues where the prefix ended, it is "
            "one sequence."
        )
    if real != [0, 1, 2, 3, 4, 5, 6, 7]:
        return "the real tokens, in order, are numbered 0, 1, 2, ...: cumsum(valid) - 1."


@exercise("05.2")
def blocks_of_a_causal_chunk(answer):
    """starts for 4 prefix tokens, the state, 5 actions: each action sees prefix, state, itself and
    earlier actions only.
    """
    try:
        starts = torch.as_tensor(answer).bool().flatten()
    except (TypeError, ValueError, RuntimeError):
        return "give a list of ten 0s and 1s, 1 where a token begins a new block"
    if len(starts) != 10:
        return f"give ten entries: 4 prefix tokens, the state, 5 actions. Yours has {len(starts)}."
    mask = block_mask(starts, torch.ones(1, 10, dtype=torch.bool))[0]
    actions = mask[5:, 5:]
    if torch.equal(actions, torch.ones_like(actions)):
        return (
            "that is pi0's own chunk: 1 for the first action, then 0s, means ONE block, in which "
            "all actions see all others."
        )
    if not mask[:4, :4].all():
        return (
            "images and text see each other both ways: no block begins inside the prefix (the "
            "first 0 or 1 does not matter)."
        )
    if mask[:4, 4:].any():
        return "your prefix looks at the state or at actions: the state must begin a block."
    if mask[4, 5:].any():
        return "your state looks at an action: the first action must begin a block too."
    if not torch.equal(actions, torch.ones(5, 5).tril().bool()):
        return (
            "some action still sees a later one: in a causal chunk every action begins a block "
            "of its own."
        )


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
