"""The wall: two ways past it, the mean of both leads into it, and only words tell the side."""

import importlib.util

import gymnasium
import numpy as np
import pytest

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0.robot.demonstrate import Disturbance, demonstrate
from minipi0.robot.simulator import LEFT, RIGHT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("metaworld") is None, reason="Meta-World is not installed"
)
CALM = Disturbance(noise=0, push=0)
NAMES = {None: "minipi0/Wall-v0", "left": "minipi0/WallLeft-v0", "right": "minipi0/WallRight-v0"}


@pytest.fixture(scope="module")
def walls():
    return {side: gymnasium.make(name, pictures=False) for side, name in NAMES.items()}


def test_only_the_words_tell_the_side(walls):
    seen = [walls[side].reset(seed=11)[0] for side in NAMES]
    assert len({one["prompt"] for one in seen}) == 3
    assert all(np.array_equal(one["state"], seen[0]["state"]) for one in seen)
    worlds = [walls[side].unwrapped.world for side in NAMES]
    assert all(np.array_equal(w.data.qpos, worlds[0].data.qpos) for w in worlds)


def test_the_start_does_not_tell_which_side_a_demonstration_takes(walls):
    """Two-sample t statistics of the start between left and right: nothing to tell them by."""
    shown = [demonstrate(walls[None], seed, CALM, pictures=False) for seed in range(60)]
    starts = np.stack([one.states[0] for one in shown])
    right = np.array([one.info["side"] == RIGHT for one in shown])
    assert 15 < right.sum() < 45
    a, b = starts[right], starts[~right]
    t = (a.mean(0) - b.mean(0)) / np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
    assert np.abs(t[:3]).max() < 3.5
    assert np.abs(starts[:, 0]).max() < 0.02  # in front of the middle


@pytest.mark.parametrize("side, sign", [("left", LEFT), ("right", RIGHT)])
def test_the_expert_passes_on_the_side_asked_for(walls, side, sign):
    for seed in range(5):
        shown = demonstrate(walls[side], seed, pictures=False)
        assert shown.info == {"success": True, "touched": False, "side": sign}
        assert shown.actions[-1, 3] == -1 and (shown.actions[:-4, 3] == 1).all()  # lets go, last


def test_the_way_between_left_and_right_meets_the_wall(walls):
    env = walls[None]
    env.reset(seed=2)
    info = [env.step([0, 0.35, 0, 1])[4] for _ in range(10)][-1]
    assert info["touched"] and not info["success"]


def test_the_other_side_than_the_one_asked_for_is_no_success(walls):
    env = walls["left"]
    env.reset(seed=0)
    expert = walls["right"].unwrapped.expert(np.random.default_rng(0))
    for _ in range(30):
        info = env.step(expert(env.unwrapped.seen))[4]
    assert info == {"success": False, "touched": False, "side": RIGHT}


@pytest.mark.parametrize("runway", [0.1, 0.2, 0.3])
def test_the_runway_is_how_far_before_the_wall_the_hand_starts(runway):
    env = gymnasium.make("minipi0/Wall-v0", pictures=False, runway=runway)
    starts = np.stack([env.reset(seed=s)[0]["state"] for s in range(5)])
    assert np.allclose(0.74 - starts[:, 1], runway, atol=0.01)
    held = env.unwrapped.seen[4:7] - env.unwrapped.seen[:3]
    assert np.linalg.norm(held[:2]) < 0.02 and -0.06 < held[2] < -0.03  # the puck hangs in the hand


def test_a_wall_that_cannot_be_is_refused():
    for runway in (0.0, 0.5, (0.2, 0.1)):
        with pytest.raises(ValueError, match="runway must lie between"):
            gymnasium.make("minipi0/Wall-v0", runway=runway)
    with pytest.raises(ValueError, match='side must be None, "left" or "right"'):
        gymnasium.make("minipi0/Wall-v0", side="above")
