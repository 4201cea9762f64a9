"""The base of every simulated task, shown on the wall, and demonstrations of it."""

import importlib.util
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0 import data
from minipi0.robot import demonstrate as demo
from minipi0.robot.simulator import CAMERAS, Robot

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("metaworld") is None, reason="Meta-World is not installed"
)


@pytest.fixture(scope="module")
def env():
    return gymnasium.make("minipi0/Wall-v0", pictures=False)


@pytest.fixture(scope="module")
def seeing():
    env = gymnasium.make("minipi0/Wall-v0", image_size=64)
    try:
        env.reset(seed=0)
    except RuntimeError as error:
        pytest.skip(str(error))
    return env


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment or None
    )


def test_importing_the_room_loads_no_simulator():
    result = run("import sys, minipi0.robot; print({'metaworld', 'mujoco'} & set(sys.modules))")
    assert result.stdout == "set()\n", result.stderr


def test_without_opengl_only_pictures_fail_and_the_message_says_what_to_install():
    import os

    code = """
import gymnasium, minipi0.robot
env = gymnasium.make("minipi0/Wall-v0", pictures=False)
env.reset(seed=0); env.step([0, 0, 0, 1]); print("acted")
env.unwrapped.observe()
"""
    result = run(code, **os.environ | {"MUJOCO_GL": "disabled"})
    assert result.stdout == "acted\n"
    assert "no OpenGL to render with: install EGL, or OSMesa" in result.stderr


def test_an_observation_is_what_the_space_says(env, seeing):
    for one, keys in ((env, {"state", "prompt"}), (seeing, {"state", "prompt", *CAMERAS})):
        observation, info = one.reset(seed=3)
        assert set(observation) == keys and one.observation_space.contains(observation)
        assert info == {"success": False, "touched": False, "side": 0}
        observation, reward, terminated, truncated, info = one.step(one.action_space.sample())
        assert one.observation_space.contains(observation)
        assert (reward, terminated, truncated) == (0, False, False)
    assert set(env.unwrapped.observe(pictures=False)) == {"state", "prompt"}


def test_a_camera_that_nobody_looks_through_is_not_rendered(seeing):
    env = gymnasium.make("minipi0/Wall-v0", cameras=("front",))
    assert set(env.reset(seed=0)[0]) == {"front", "state", "prompt"}
    with pytest.raises(ValueError, match="cameras are"):
        gymnasium.make("minipi0/Wall-v0", cameras=("above",))


def test_the_same_seed_gives_the_same_bits_in_another_environment(seeing):
    other = gymnasium.make("minipi0/Wall-v0", image_size=64)
    actions = np.random.default_rng(0).uniform(-0.3, 0.3, (5, 4)).astype(np.float32)
    for start in (4, 5, 4):
        seen = [
            [one.reset(seed=start)[0], *(one.step(a)[0] for a in actions)]
            for one in (seeing, other)
        ]
        for a, b in zip(*seen, strict=True):
            assert all(np.array_equal(a[key], b[key]) for key in ("state", *CAMERAS))


def test_an_action_is_held_for_a_tenth_of_a_second_and_moves_as_it_says(env):
    before = env.reset(seed=0)[0]["state"]
    for _ in range(5):
        after = env.step([-0.25, 0, 0.1, 1])[0]["state"]
    assert np.allclose((after - before)[:3], [-0.1, 0, 0.04], atol=0.025)  # 0.5 s; it lags a little


@pytest.mark.parametrize("bad", [np.zeros(3), [0, 0, np.nan, 1], [[0, 0, 0, 1]]])
def test_an_action_with_a_fault_is_refused(env, bad):
    env.reset(seed=0)
    with pytest.raises(ValueError, match="an action is 4 finite numbers"):
        env.step(bad)


def test_an_episode_is_truncated_after_max_steps():
    env = gymnasium.make("minipi0/Wall-v0", pictures=False, max_steps=3)
    env.reset(seed=0)
    assert [env.step([0, 0, 0, 1])[2:4] for _ in range(3)][1:] == [(False, False), (False, True)]
    with pytest.raises(ValueError, match="max_steps at least 1"):
        gymnasium.make("minipi0/Wall-v0", max_steps=0)


def test_a_point_is_projected_to_where_the_picture_shows_it(seeing):
    seeing.reset(seed=1)
    robot = seeing.unwrapped
    picture = robot.render("front", 240).astype(int)
    yellow = (picture[..., 0] > 150) & (picture[..., 1] > 120) & (picture[..., 2] < 90)
    row, column = np.argwhere(yellow).mean(0)
    assert np.allclose(robot.projection()(robot.seen[4:7]) * 240, [column, row], atol=4)
    assert robot.projection()(np.zeros((5, 2, 3)) + robot.seen[4:7]).shape == (5, 2, 2)


def test_a_task_without_an_expert_says_so(env):
    with pytest.raises(NotImplementedError, match="Robot has no scripted expert"):
        Robot.expert(object.__new__(Robot), np.random.default_rng(0))


def test_noise_and_pushes_leave_the_gripper_alone():
    added = demo.Disturbance(noise=0.1, push=2.0, often=0.1).along(4000, np.random.default_rng(0))
    assert (added[:, 3] == 0).all()
    pushed = np.abs(added[:, :3]).max(1) > 0.5
    assert 0.15 < pushed.mean() < 0.3  # 3 frames each, some of them weak
    still = demo.Disturbance(noise=0.1, push=0, often=0).along(4000, np.random.default_rng(0))
    assert abs(still[:, :3].std() - 0.1) < 0.005


def test_what_is_recorded_is_what_the_expert_wanted_where_the_push_had_brought_it(env):
    calm = demo.Disturbance(noise=0, push=0)
    pushed = demo.Disturbance(noise=0, push=1.0, often=0.2)
    quiet, rough = (demo.demonstrate(env, 8, one, pictures=False) for one in (calm, pushed))
    assert np.array_equal(quiet.states[0], rough.states[0])
    assert np.array_equal(quiet.actions[0], rough.actions[0])  # no push in the label
    assert np.abs(quiet.states[5] - rough.states[5]).max() > 0.02
    again = demo.demonstrate(env, 8, pushed, pictures=False)
    assert np.array_equal(again.states, rough.states)


def test_the_command_writes_a_data_set_of_several_tasks(seeing, tmp_path, capsys):
    out = tmp_path / "made"
    demo.main(["--task", "Wall", "WallLeft", "--episodes", "2", "--out", str(out)])
    assert str(out) in capsys.readouterr().out
    made = data.load(out, 16, split="all", test_every=None)
    assert made.cameras == ["observation.images.front", "observation.images.hand"]
    assert len(made.episodes) == 4 and made.fps == 10
    assert {"left" in text for text in made.tasks} == {True, False}
    assert set(made.actions[:, 3].tolist()) == {-1, 1} and made.actions.abs().max() <= 1
    with pytest.raises(SystemExit):
        demo.main(["--task", "Wall", "--out", str(out)])
    assert "exists: name a new folder" in capsys.readouterr().err
