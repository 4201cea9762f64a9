"""The table with named things: scenes, what counts as a touch, and which names are new."""

import gymnasium
import numpy as np
import pytest

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0.robot import touch
from minipi0.robot.demonstrate import demonstrate


@pytest.fixture(scope="module")
def env():
    env = gymnasium.make("minipi0/Touch-v0", pictures=False, disable_env_checker=True)
    yield env
    env.close()


def test_every_name_is_in_one_group_and_new_colours_are_never_spoken():
    groups = [touch.TRAINED, touch.NEW_PAIRS, touch.NEW_COLOURS]
    assert sorted(sum(groups, ())) == sorted(touch.NAMES) and len(set(touch.NAMES)) == 24
    spoken = {word for name in touch.TRAINED for word in name.split()}
    assert all(set(name.split()) <= spoken for name in touch.NEW_PAIRS)
    assert not {name.split()[0] for name in touch.NEW_COLOURS} & spoken


def test_a_seed_fixes_the_scene(env):
    def scene(seed):
        seen, _ = env.reset(seed=seed)
        return seen["state"].tolist(), env.unwrapped.prompt, env.unwrapped.things

    first, other = scene(3), scene(4)
    assert scene(3) == first != other
    assert first[1] == f"find the {first[2][0].name}" and first[2][0].name in touch.TRAINED
    places = np.array([(thing.x, thing.y) for thing in first[2]])
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)[np.triu_indices(3, 1)]
    assert (apart > touch.APART).all()


def test_the_expert_touches_what_is_named_and_nothing_else(env):
    found = [demonstrate(env, seed, pictures=False) for seed in range(10)]
    assert sum(rollout.good for rollout in found) >= 9
    assert all(3 <= len(rollout.actions) <= 30 for rollout in found if rollout.good)


def test_another_thing_first_is_no_success(env):
    env.reset(seed=0)
    robot = env.unwrapped
    robot.things = [robot.things[1], robot.things[0], robot.things[2]]  # asked for the other one
    robot.things, target = robot.things, robot.things[1].touch
    done, info = False, {}
    while not done:
        wanted = 6 * (target - robot.seen[:3])
        _, _, terminated, truncated, info = env.step(np.clip([*wanted, -1], -1, 1))
        done = terminated or truncated
    assert info["touched"] and not info["success"]


def test_a_scene_shows_the_things_in_their_colours(env):
    env.reset(seed=1)
    robot = env.unwrapped
    robot.things = [touch.Thing("red ball", 0.1, 0.7)]
    column, row = robot.projection()(np.array([0.1, 0.7, 0.045])) * 64
    red, green, blue = robot.render()[int(row), int(column)].astype(int)
    assert red > 120 and red > 1.7 * max(green, blue)


@pytest.mark.parametrize("wrong", [dict(names=()), dict(names=("red car",)), dict(count=0)])
def test_what_cannot_be_asked_for_is_refused(wrong):
    with pytest.raises(ValueError, match="names|count"):
        touch.Touch(**wrong)
