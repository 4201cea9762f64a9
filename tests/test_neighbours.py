"""Neighbours come from other episodes and are the nearest; two groups are told from one."""

import numpy as np
import pytest

from minipi0 import data
from minipi0.data import neighbours


def test_neighbours_are_the_nearest_of_other_episodes_one_of_each():
    rng = np.random.default_rng(0)
    view = rng.normal(size=(1200, 3)).astype(np.float32)
    episode = np.repeat(np.arange(12), 100)
    allowed = rng.random(1200) > 0.3
    queries = np.arange(0, 1200, 2)
    items, distances = neighbours.nearest(view, episode, queries, 5, allowed)
    for q, found, far in zip(queries, items, distances, strict=True):
        to_all = np.linalg.norm(view - view[q], axis=1)
        to_all[~allowed | (episode == episode[q])] = np.inf
        best = sorted(min(to_all[episode == e]) for e in range(12) if e != episode[q])[:5]
        np.testing.assert_allclose(far, best, atol=1e-3)
        np.testing.assert_allclose(to_all[found], best, atol=1e-3)
        assert len(set(episode[found])) == 5


def test_too_few_episodes_are_refused():
    view, episode = np.zeros((30, 2), np.float32), np.repeat(np.arange(3), 10)
    with pytest.raises(ValueError, match="3 episodes are too few for 3 neighbours"):
        neighbours.nearest(view, episode, np.arange(30), 3, np.ones(30, bool))


def test_two_groups_are_told_from_one():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(4000, 400))
    assert neighbours.two_groups(one)[0].mean() == pytest.approx(2 / np.pi, abs=0.01)
    sides = rng.random((500, 16)) < 0.5
    sides[:, :4], sides[:, 4:8] = False, True
    share, upper = neighbours.two_groups(np.where(sides, 1, -1) + 0.05 * rng.normal(size=(500, 16)))
    assert share.min() > 0.97
    np.testing.assert_array_equal(upper, sides)


def test_the_main_axis_and_a_gaussian_like_the_futures_keep_their_spread():
    rng = np.random.default_rng(0)
    futures = rng.normal(size=(300, 16, 40)) * 0.1
    futures[..., 7] += np.where(rng.random((300, 16)) < 0.5, 3, -3)
    axis = neighbours.main_axis(futures)
    off = futures[..., 7] - futures[..., 7].mean(1, keepdims=True)
    agree = np.abs((axis * off).sum(1)) / np.linalg.norm(axis, axis=1) / np.linalg.norm(off, axis=1)
    assert agree.min() > 0.99
    like = neighbours.gaussian_like(futures)
    spread = [(x - x.mean(1, keepdims=True)).var() * x.shape[2] for x in (futures, like)]
    assert spread[1] == pytest.approx(spread[0] * 15 / 16, rel=0.1)
    assert neighbours.two_groups(axis)[0].mean() > 0.95
    assert neighbours.two_groups(neighbours.main_axis(like))[0].mean() < 0.75


def test_views_weigh_the_same_and_the_camera_may_be_missing():
    items = data.load("metaworld-two-ways", horizon=4, split="all")
    views = neighbours.views(items)
    assert views["state"].shape == (len(items), 4) and views["camera"].shape == (len(items), 8)
    for view in views.values():
        assert view.var(0).sum() == pytest.approx(1, abs=1e-3)
    assert set(neighbours.views(items, camera=False)) == {"state"}
