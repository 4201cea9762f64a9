"""What holds for all inputs, tried on inputs that hypothesis makes up.

pytest --hypothesis-profile=soak tests/test_properties.py        2,000 of each, always other ones
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from synthetic import TINY, tiny
from torch import Tensor

from minipi0 import Observation, checkpoint, data, flow
from minipi0.data import writer
from minipi0.normalise import Normaliser
from minipi0.pi0 import block_mask
from minipi0.robot.chunking import Ensemble, Queue
from minipi0.robot.policy import Policy

DIMS = st.integers(1, 4)
SEEDS = st.integers(0, 2**31)
TAUS = st.floats(0, 1, allow_subnormal=False)
DTYPES = st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16])


def numbers(most: float = 1e4):
    return st.floats(-most, most, width=32, allow_subnormal=False)


@st.composite
def chunks(draw, count: int = 2) -> list[Tensor]:
    """`count` tensors of one shape [B, H, D], float32."""
    shape = draw(st.tuples(DIMS, DIMS, DIMS))
    arrays = some.arrays(np.float32, shape, elements=numbers())
    return [torch.from_numpy(draw(arrays)) for _ in range(count)]


# ---------------------------------------------------------------- flow


@given(chunks(), TAUS)
def test_the_path_is_a_straight_line_between_its_ends(pair, tau):
    actions, noise = pair
    assert torch.equal(flow.interpolate(actions, noise, 0.0), noise)
    assert torch.equal(flow.interpolate(actions, noise, 1.0), actions)
    point, target = flow.interpolate(actions, noise, tau), flow.velocity_target(actions, noise)
    assert (point >= actions.minimum(noise)).all() and (point <= actions.maximum(noise)).all()
    exact = noise.double() + tau * (actions.double() - noise.double())
    torch.testing.assert_close(point.double(), exact, rtol=1e-6, atol=1e-2 * 2**-23 * 1e4)
    assert torch.equal(target, actions - noise)
    swapped = flow.interpolate(noise, actions, tau)  # from the other end
    torch.testing.assert_close(point + swapped, actions + noise, rtol=1e-5, atol=1e-2)


@given(chunks(3), SEEDS)
def test_the_loss_counts_what_is_real_and_nothing_else(three, seed):
    velocity, actions, noise = three
    mask = torch.rand(actions.shape[:2], generator=torch.Generator().manual_seed(seed)) < 0.6
    assume(bool(mask.any()))
    assert flow.loss(flow.velocity_target(actions, noise), actions, noise, mask) == 0
    found = flow.loss(velocity, actions, noise, mask)
    target = (actions - noise)[mask]
    torch.testing.assert_close(found, ((velocity[mask] - target) ** 2).mean(), rtol=1e-5, atol=1e-5)
    spoilt = velocity.masked_fill(~mask[..., None], float("inf"))
    assert flow.loss(spoilt, actions, noise, mask) == found >= 0
    order = torch.randperm(len(actions))
    turned = flow.loss(velocity[order], actions[order], noise[order], mask[order])
    torch.testing.assert_close(turned, found, rtol=1e-5, atol=1e-5)


@given(chunks(), st.integers(1, 40))
def test_euler_arrives_where_the_field_points(pair, steps):
    actions, noise = (x.double() for x in pair)
    constant = flow.euler(lambda x, tau: actions - noise, noise, steps)
    torch.testing.assert_close(constant, actions, rtol=1e-9, atol=1e-9)
    # one action known: the field points at it, and the last step, of length 1 - tau, lands there
    path = flow.euler(lambda x, tau: (actions - x) / (1 - tau), noise, steps, path=True)
    torch.testing.assert_close(path[-1], actions, rtol=1e-9, atol=1e-9)
    straight = torch.stack([flow.interpolate(actions, noise, i / steps) for i in range(steps + 1)])
    torch.testing.assert_close(path, straight, rtol=1e-9, atol=1e-8)


@given(st.integers(0, 200), SEEDS)
def test_no_tau_is_beyond_the_last_step(n, seed):
    taus = flow.sample_tau(n, torch.Generator().manual_seed(seed))
    assert len(taus) == n and ((taus >= 0) & (taus <= flow.TAU_MAX)).all()


# ---------------------------------------------------------------- masks


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_the_mask_is_its_definition(starts, more):
    valid = more.draw(st.lists(st.booleans(), min_size=len(starts), max_size=len(starts)))
    found = block_mask(torch.tensor(starts), torch.tensor([valid]))[0]
    for i in range(len(starts)):
        for j in range(len(starts)):
            later = any(starts[i + 1 : j + 1])  # a block begins between them
            assert bool(found[i, j]) == (valid[i] and valid[j] and (j <= i or not later))


MODEL = tiny().double().eval()


@given(
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=5, max_size=5),
    SEEDS,
)
def test_what_is_masked_changes_nothing(cameras, words, seed):
    generator = torch.Generator().manual_seed(seed)
    random = torch.Generator().manual_seed(seed + 1)
    seen, said = torch.tensor([cameras]), torch.tensor([words])
    images = torch.rand(1, 3, 3, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1
    tokens = torch.randint(20, (1, 5), generator=generator)
    state = torch.randn(1, 2, generator=generator, dtype=torch.float64)
    noisy = torch.randn(1, 4, 3, generator=generator, dtype=torch.float64)
    tau = torch.rand(1, generator=generator, dtype=torch.float64)
    other = torch.rand(images.shape, generator=random, dtype=torch.float64) * 2 - 1
    images_too = torch.where(seen[..., None, None, None], images, other)
    tokens_too = torch.where(said, tokens, torch.randint(20, (1, 5), generator=random))
    with torch.no_grad():
        one = MODEL.velocity(Observation(images, seen, tokens, said, state), noisy, tau)
        two = MODEL.velocity(Observation(images_too, seen, tokens_too, said, state), noisy, tau)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


# ---------------------------------------------------------------- normalisation


@given(
    st.integers(2, 12).flatmap(
        lambda frames: some.arrays(np.float32, (frames, 3), elements=numbers())
    ),
    st.sampled_from(["z-score", "quantile", "min-max"]),
)
@pytest.mark.filterwarnings("ignore")
def test_normalisation_goes_there_and_back(values, mode):
    normaliser, x = Normaliser.fit(values, mode), torch.from_numpy(values)
    there = normaliser.to_model(x)
    assert there.isfinite().all()
    size = x.abs().amax(0) + 1
    assert ((normaliser.to_robot(there) - x).abs() <= 4e-7 * size).all()
    again = Normaliser.from_stats(normaliser.stats("action"), "action")
    assert again.mode == mode and torch.equal(again.to_model(x), there)


# ---------------------------------------------------------------- chunks


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(1, 8),
    st.integers(2, 4),
    SEEDS,
)
@pytest.mark.filterwarnings("ignore")
def test_a_chunk_is_what_was_done_next(lengths, horizon, test_every, seed):
    """From demonstrations through files to items: no action moves, none is held out twice."""
    rng = np.random.default_rng(seed)
    episodes = [
        writer.Episode(rng.normal(size=(n, 2)), rng.normal(size=(n, 3)), "go") for n in lengths
    ]
    with tempfile.TemporaryDirectory() as folder:
        writer.write(f"{folder}/one", episodes, 10, ["a", "b"], ["x", "y", "z"])
        options = dict(source=f"{folder}/one", horizon=horizon, cameras=[], test_every=None)
        every = data.load(**options)
        if len(lengths) > 1:
            train, test = (
                data.load(**options | dict(test_every=test_every, split=split))
                for split in ("train", "test")
            )
            assert sorted(train.episodes + test.episodes) == every.episodes
    seen, actions, mask = every.batch(range(len(every)))
    actions, state = every.normaliser["action"].to_robot(actions), every.state
    rows = [(episode, t) for episode, n in enumerate(lengths) for t in range(n)]
    assert len(every) == len(rows)
    for i, (episode, t) in enumerate(rows):
        done, left = episodes[episode].actions, lengths[episode] - t
        expected = done[[min(t + k, lengths[episode] - 1) for k in range(horizon)]]
        np.testing.assert_allclose(actions[i], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state[i], episodes[episode].states[t], rtol=1e-6)
        assert mask[i].tolist() == [k < left for k in range(horizon)]


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_queue_executes_each_action_at_its_own_time(execute, delay, more):
    delay = min(delay, execute)
    horizon, queue = execute + delay + more, Queue(execute, delay)
    asked_at = []
    for now in range(5 * execute):
        if queue.wants:
            first = not asked_at
            # for the first chunk the robot waits: it begins when the chunk is there
            queue.add(np.array([[now + k] for k in range(horizon)]))
            asked_at.append(now)
            assert first or len(queue.actions) == delay + execute
        assert queue.pop() == [now]


@given(st.integers(1, 4), st.integers(1, 6), st.floats(0, 1))
def test_an_ensemble_is_a_mean_of_what_is_said_of_now(execute, horizon, decay):
    assume(execute <= horizon)
    ensemble = Ensemble(execute, decay)
    for now in range(12):
        if ensemble.wants:
            ensemble.add(np.array([[now + k, -1.0] for k in range(horizon)]))
        np.testing.assert_allclose(ensemble.pop(), [now, -1.0])


# ---------------------------------------------------------------- the policy


class Echo(torch.nn.Module):
    """Its actions are the state that it sees: what comes out of a policy is what went in."""

    def __init__(self, dims: int, wide: int):
        super().__init__()
        self.config = replace(TINY, vocab_size=260, state_dim=wide, action_dim=wide)
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.dims = dims

    def sample_actions(self, seen: Observation, noise: Tensor, steps: int) -> Tensor:
        assert not seen.state[:, self.dims :].any() and seen.images.abs().max() <= 1
        return seen.state[:, None].expand(noise.shape)


@given(st.data(), DIMS, st.integers(0, 3), st.sampled_from(["z-score", "quantile", "min-max"]))
@pytest.mark.filterwarnings("ignore")
def test_from_the_robot_through_a_model_and_back(more, dims, padding, mode):
    vectors = some.arrays(np.float32, dims, elements=numbers(100))
    recorded = some.arrays(np.float32, (6, dims), elements=numbers(100))
    state, normaliser = more.draw(vectors), Normaliser.fit(more.draw(recorded), mode)
    relative = more.draw(st.lists(st.booleans(), min_size=dims, max_size=dims))
    stats = normaliser.stats("state") | normaliser.stats("action")
    about = {"cameras": ["eye"], "relative_actions": relative, "tokenizer": "bytes"}
    policy = Policy(Echo(dims, dims + padding), stats, about=about)
    picture = more.draw(some.arrays(np.uint8, (6, 8, 3)))
    commands = policy({"eye": picture, "state": state, "prompt": more.draw(st.sampled_from("ab"))})
    assert commands.shape == (TINY.horizon, dims) and commands.dtype == np.float32
    expected = state * (1 + np.array(relative))  # what is relative is added to where it is
    np.testing.assert_allclose(commands, np.tile(expected, (TINY.horizon, 1)), rtol=1e-4, atol=1e-3)


# ---------------------------------------------------------------- files


@st.composite
def tensors(draw) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    for name in draw(st.lists(st.text("abcé._", min_size=1, max_size=9), unique=True, max_size=4)):
        shape, dtype = draw(st.lists(st.integers(0, 3), max_size=3)), draw(DTYPES)
        generator = torch.Generator().manual_seed(draw(SEEDS))
        made[name] = torch.randn(shape, generator=generator).to(dtype)
    return made


def refused(read: Callable) -> object:
    """What it returns, or None for a ValueError."""
    try:
        return read()
    except ValueError:
        return None


@given(tensors(), st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), st.data())
def test_tensors_come_back_or_are_refused(there, metadata, more):
    assume("checksums" not in metadata)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tensors.safetensors"
        checkpoint.write_tensors(file, there, metadata)
        back, noted = checkpoint.read_tensors(file)
        assert noted == metadata and back.keys() == there.keys()
        assert all(same_tensor(back[name], there[name]) for name in there)
        whole = bytearray(file.read_bytes())
        whole[more.draw(st.integers(0, len(whole) - 1))] ^= 1 << more.draw(st.integers(0, 7))
        file.write_bytes(whole)
        if (found := refused(lambda: checkpoint.read_tensors(file))) is not None:
            changed, _ = found
            assert changed.keys() == there.keys()
            assert all(same_tensor(changed[name], there[name]) for name in there)


def same_tensor(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)


@given(st.dictionaries(st.text(max_size=6), st.text() | st.integers() | st.none(), max_size=4))
def test_what_a_checkpoint_is_told_it_tells(about):
    config = TINY.to_dict()
    state = {"experts.one": torch.ones(2)}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(state, config, folder, about=about)
        source = checkpoint.open_checkpoint(folder)
        assert source.config() == config and (source.about() or {}) == about
