"""Which actions are executed: queues, delays, ensembles, and chunks that continue the last one."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from synthetic import Chunks, tiny

from minipi0 import toys
from minipi0.robot.chunking import Ensemble, Queue, continue_chunk, prefix_weights


def counting(start: int, horizon: int = 10) -> np.ndarray:
    """A chunk whose action says for which step it is meant: float[H, 1]."""
    return np.arange(start, start + horizon, dtype=np.float32)[:, None]


@pytest.mark.parametrize(("execute", "delay"), [(4, 0), (4, 3), (1, 1), (5, 5)])
def test_every_action_is_executed_at_the_step_it_is_meant_for(execute, delay):
    queue, asked, done = Queue(execute, delay), [], []
    for step in range(20):
        if queue.wants:
            asked.append(step)
            queue.add(counting(step))
        done.append(queue.pop()[0])
    assert done == list(range(20))
    assert asked == list(range(0, 20, execute))


@pytest.mark.parametrize(("execute", "delay"), [(0, 0), (3, 4), (3, -1)])
def test_a_queue_that_would_run_dry_is_refused(execute, delay):
    with pytest.raises(ValueError, match="delay between 0 and that"):
        Queue(execute, delay)


def test_a_delayed_chunk_is_used_only_from_when_it_arrives():
    queue, done = Queue(execute=4, delay=2), []
    for step in range(14):
        if queue.wants:
            queue.add(np.full((10, 1), step, np.float32))
        done.append(int(queue.pop()[0]))
    assert done == [0] * 6 + [4] * 4 + [8] * 4


def test_the_ensemble_is_acts_weighted_mean():
    ensemble, chunks, done = Ensemble(decay=0.5), [], []
    rng = np.random.default_rng(0)
    for _ in range(6):
        chunks.append(rng.normal(size=(3, 2)).astype(np.float32))
        assert ensemble.wants
        ensemble.add(chunks[-1])
        done.append(ensemble.pop())
    for step in range(6):
        starts = range(max(0, step - 2), step + 1)  # the oldest that reaches here comes first
        said = [chunks[start][step - start] for start in starts]
        weights = [math.exp(-0.5 * i) for i in range(len(said))]
        expected = sum(w * a for w, a in zip(weights, said, strict=True)) / sum(weights)
        np.testing.assert_allclose(done[step], expected, rtol=1e-5)


def test_an_ensemble_of_two_ways_goes_neither():
    ensemble = Ensemble(decay=0.0)
    for side in (1.0, -1.0):
        ensemble.add(np.full((4, 1), side, np.float32))
        mean = ensemble.pop()
    assert mean == 0


def test_the_weights_of_the_overlap_are_those_of_the_paper():
    weights = prefix_weights(horizon=10, overlap=6, delay=2)
    assert weights[:2].tolist() == [1, 1] and weights[6:].tolist() == [0] * 4
    for i in range(2, 6):
        c = (6 - i) / (6 - 2 + 1)
        assert weights[i] == pytest.approx(c * (math.exp(c) - 1) / (math.e - 1))
    assert (weights.diff() <= 0).all()


def test_without_an_overlap_it_is_the_plain_sampler():
    model = tiny().eval()
    observation, _, _ = Chunks().batch(torch.arange(3))
    noise = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(1))
    expected = model.sample_actions(observation, noise=noise)
    found = continue_chunk(model, observation, noise, torch.zeros(3, 0, 3), delay=0)
    torch.testing.assert_close(found, expected)
    assert all(parameter.grad is None for parameter in model.parameters())


class TwoWays:
    """The exact flow of chunks that go all up or all down, [B, 8, 1]."""

    config = SimpleNamespace(action_expert=SimpleNamespace(width=4))

    def __init__(self):
        ways = torch.ones(2, 8, dtype=torch.float64)
        ways[1] = -1
        self.mixture = toys.GaussianMixture(ways, 0.05)

    def encode(self, observation):
        return None

    def decode(self, encoded, state, x, time):
        tau = 1 - torch.asin(time[0, 1].clamp(max=1)).item() * 2 / math.pi  # its period is 4
        return self.mixture.velocity(x[..., 0], tau)[..., None]


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_continued_chunk_keeps_to_the_way_that_was_begun(side):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 8, 1, generator=generator, dtype=torch.float64)
    model, seen = TwoWays(), SimpleNamespace(state=None)
    none = torch.zeros(200, 0, 1)
    free = continue_chunk(model, seen, noise, none, delay=0)
    assert 0.4 < (free[:, -1] > 0).double().mean() < 0.6
    previous = torch.full((200, 5, 1), side)
    bound = continue_chunk(model, seen, noise, previous, delay=2)
    kept = (bound * side > 0.5).all(dim=1).double().mean()
    assert kept > 0.95, "what is executed meanwhile, and what follows from it"
    weak = continue_chunk(model, seen, noise, previous, delay=2, clip=1.0)
    assert (weak * side > 0.5).all(dim=1).double().mean() < kept


def test_an_overlap_shorter_than_the_delay_is_refused():
    with pytest.raises(ValueError, match="reaches 1 steps into the new one"):
        continue_chunk(TwoWays(), None, torch.zeros(1, 8, 1), torch.zeros(1, 1, 1), delay=2)
