"""The simulated demonstrations the package carries, and the simulator that made them (skipped
where Meta-World is not installed).
"""

import importlib.util
import json
import subprocess
import sys

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from minipi0.robot import two_ways as sim

LENGTH = 80


class Carried:
    """The carried data set, read with nothing but pyarrow: minipi0.data has its own tests."""

    def __init__(self, folder):
        self.info = json.loads((folder / "meta/info.json").read_text())
        self.episodes = pq.read_table(
            folder / "meta/episodes/chunk-000/file-000.parquet"
        ).to_pylist()
        rows = [
            row
            for path in sorted(folder.glob("data/*/*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]
        self.rows = rows
        part = [rows[row["dataset_from_index"] : row["dataset_to_index"]] for row in self.episodes]
        self.states = [
            np.array([row["observation.state"] for row in episode], dtype=np.float32)
            for episode in part
        ]
        self.actions = [
            np.array([row["action"] for row in episode], dtype=np.float32) for episode in part
        ]


@pytest.fixture(scope="module")
def carried():
    return Carried(sim.CARRIED)


@pytest.fixture(scope="module")
def first_pictures(carried):
    """The first frame of every episode, (80, 96, 96, 3)."""
    pictures = []
    for path in sorted(sim.CARRIED.glob("videos/*/*/*.mp4")):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        index = int(path.stem.removeprefix("file-"))
        rows = [row for row in carried.episodes if row[f"videos/{sim.CAMERA}/file_index"] == index]
        assert len(frames) == sum(row["length"] for row in rows)
        starts = [round(row[f"videos/{sim.CAMERA}/from_timestamp"] * sim.FPS) for row in rows]
        assert starts == np.cumsum([0] + [row["length"] for row in rows])[:-1].tolist()
        pictures += [frames[start] for start in starts]
    return np.stack(pictures)


def passes(states, actions) -> tuple[int, int]:
    """On which side the hand passed the wall's plane, and to which side it left: the sign of x
    then and there.
    """
    assert actions[0, 3] == -1
    at_wall = np.flatnonzero(states[:, 1] > sim.WALL[1])[0]
    return int(np.sign(states[at_wall, 0])), int(np.sign(states[-1, 0]))


def no_telling(values, sides):
    """Two-sample t statistics per column between left and right, all small: nothing to tell the
    sides by.
    """
    left, right = values[sides == sim.LEFT], values[sides == sim.RIGHT]
    t = (left.mean(0) - right.mean(0)) / np.sqrt(
        left.var(0) / len(left) + right.var(0) / len(right)
    )
    return np.abs(t).max()


def test_the_carried_set_is_small_and_says_where_it_comes_from(carried):
    files = [path for path in sim.CARRIED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3e6
    card = (sim.CARRIED / "README.md").read_text()
    assert (
        "MIT License, Copyright (c) 2019 Meta-World Team" in card
        and "python -m minipi0.robot.two_ways" in card
    )
    assert (
        carried.info["codebase_version"],
        carried.info["fps"],
        carried.info["total_episodes"],
    ) == ("v3.0", sim.FPS, LENGTH)
    assert pq.read_table(sim.CARRIED / "meta/tasks.parquet")["task"].to_pylist() == [sim.TASK]


@pytest.mark.parametrize("name", ["data/chunk-000/file-000.parquet", "meta/tasks.parquet"])
def test_its_tables_carry_checksums(name, tmp_path):
    whole = (sim.CARRIED / name).read_bytes()
    column = pq.ParquetFile(sim.CARRIED / name).metadata.row_group(0).column(0)
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    for flipped in range(end - 3, end):  # the last bytes of its last page
        changed = bytearray(whole)
        changed[flipped] ^= 1
        (tmp_path / "changed.parquet").write_bytes(changed)
        with pytest.raises(OSError, match="CRC"):
            pq.ParquetFile(tmp_path / "changed.parquet", page_checksum_verification=True).read()


def test_its_tables_agree(carried):
    lengths = [row["length"] for row in carried.episodes]
    assert len(carried.rows) == carried.info["total_frames"] == sum(lengths)
    assert [row["dataset_from_index"] for row in carried.episodes] == np.cumsum([0] + lengths)[
        :-1
    ].tolist()
    assert [row["index"] for row in carried.rows] == list(range(len(carried.rows)))
    assert [row["episode_index"] for row in carried.rows] == np.repeat(
        np.arange(LENGTH), lengths
    ).tolist()
    assert np.allclose(
        [row["timestamp"] for row in carried.rows],
        np.concatenate([np.arange(n) / sim.FPS for n in lengths]),
    )
    assert (
        len({row["data/file_index"] for row in carried.episodes}) == 2
    )  # several episodes a file, and more than one file
    assert 30 <= min(lengths) and max(lengths) < sim.MAX_FRAMES


def test_its_numbers_are_finite_and_its_gripper_open_or_closed(carried):
    for states, actions in zip(carried.states, carried.actions, strict=True):
        assert np.isfinite(states).all() and np.isfinite(actions).all()
        assert (
            np.abs(actions).max() <= 1 and (states[:, 3] >= 0).all() and (states[:, 3] <= 1).all()
        )
        assert np.diff(actions[:, 3]).nonzero()[0].size == 2  # opens, closes once, opens once
        assert set(actions[:, 3]) == {-1, 1} and actions[0, 3] == actions[-1, 3] == -1
        assert np.linalg.norm(states[0, :2] - sim.GOAL[:2]) > 0.3 and np.abs(states[-1, 0]) > 0.1


def test_half_of_it_passes_on_either_side_and_leaves_to_either(carried):
    sides = [passes(*episode) for episode in zip(carried.states, carried.actions, strict=True)]
    assert {pair: sides.count(pair) for pair in sides} == {
        (a, b): LENGTH // 4 for a in (-1, 1) for b in (-1, 1)
    }
    for states, (carry, _) in zip(carried.states, sides, strict=True):
        near = np.abs(states[:, 1] - sim.WALL[1]) < 0.02
        assert (carry * states[near, 0] > 0.12).all()  # past the wall's end, not over it


def test_the_first_observation_does_not_tell_the_side(carried, first_pictures):
    sides = np.array(
        [passes(*episode) for episode in zip(carried.states, carried.actions, strict=True)]
    )
    states = np.stack([states[0] for states in carried.states])[:, :3]
    coarse = (
        first_pictures.reshape(LENGTH, 8, 12, 8, 12, 3).mean(axis=(2, 4, 5)).reshape(LENGTH, -1)
    )
    coarse = coarse[:, coarse.std(0) > 1]  # where the pictures differ at all: arm and puck
    assert coarse.shape[1] >= 3
    for side in sides.T:
        assert (
            no_telling(states, side) < 3.5 and no_telling(coarse, side) < 4
        )  # the largest of 3 and of up to 64 statistics


def test_its_pictures_show_the_puck(first_pictures):
    assert first_pictures.shape == (LENGTH, 96, 96, 3)
    red, green, blue = np.moveaxis(first_pictures.astype(int), -1, 0)
    yellow = (red > 130) & (green > 110) & (blue < 90)
    assert (yellow.sum(axis=(1, 2)) >= 4).all()


def test_the_package_does_not_need_the_simulator():
    code = (
        "import sys; sys.modules['metaworld'] = sys.modules['mujoco'] = None; "
        "from minipi0.robot import two_ways as sim; sim.make_env()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (
        "ImportError: the simulator needs Meta-World: pip install -r requirements.txt"
        in result.stderr
    )


def test_sides_are_balanced_and_seeded():
    sides = sim.sides_of(40, seed=3)
    assert sorted(map(tuple, sides)) == sorted([(a, b) for a in (-1, 1) for b in (-1, 1)] * 10)
    assert (sides == sim.sides_of(40, seed=3)).all() and (sides != sim.sides_of(40, seed=4)).any()


@pytest.fixture(scope="module")
def env():
    if (
        importlib.util.find_spec("metaworld") is None
    ):  # not importorskip: importing it settles how to render
        pytest.skip("Meta-World is not installed")
    return sim.make_env()


def test_the_script_still_makes_the_carried_demonstrations(env, carried):
    sides = sim.sides_of(LENGTH, seed=0)
    for index in (0, 7):
        rollout = sim.demonstrate(env, 0, index, tuple(sides[index]))
        assert rollout.states.shape == carried.states[index].shape
        # Another processor rounds differently, and contacts magnify that: not to the last bit.
        np.testing.assert_allclose(rollout.states, carried.states[index], atol=2e-3)
        np.testing.assert_allclose(rollout.actions, carried.actions[index], atol=2e-2)


def test_the_expert_succeeds_on_all_ways_from_one_first_observation(env):
    firsts = []
    for carry in (sim.LEFT, sim.RIGHT):
        for leave in (sim.LEFT, sim.RIGHT):
            rollout = sim.demonstrate(env, 5, 0, (carry, leave), tries=1)
            assert (
                rollout.success
                and not rollout.touched
                and passes(rollout.states, rollout.actions) == (carry, leave)
            )
            firsts.append((rollout.states[0], rollout.actions[0]))
    for state, action in firsts[1:]:
        assert (state == firsts[0][0]).all() and (action == firsts[0][1]).all()


def test_the_same_seed_gives_the_same_bits_and_recorded_actions_replay(env):
    first = sim.demonstrate(env, 1, 2, (sim.RIGHT, sim.LEFT))
    again = sim.demonstrate(sim.make_env(), 1, 2, (sim.RIGHT, sim.LEFT))
    assert (first.states == again.states).all() and (first.actions == again.actions).all()
    actions = iter(first.actions)
    replayed = sim.record(
        env, sim.reset(env, np.random.default_rng([1, 2, 0, 0])), lambda observation: next(actions)
    )
    assert replayed.success and (replayed.states == first.states).all()


def test_failures_are_told_apart(env):
    still = sim.record(
        env, sim.reset(env, np.random.default_rng(0)), lambda observation: np.zeros(4), frames=70
    )
    assert not still.success and not still.touched and still.actions.shape == (70, 4)
    observation = sim.reset(env, np.random.default_rng(0))
    into_the_wall = sim.record(
        env,
        observation,
        lambda observation: np.array([0, 0.6, -0.4 if observation[2] > 0.1 else 0, -1]),
        frames=20,
    )
    assert into_the_wall.touched and not into_the_wall.success
    for bad in (np.zeros(3), np.array([0, 0, np.nan, 1])):
        with pytest.raises(ValueError, match="an action is 4 finite numbers"):
            sim.step(env, bad)
    with pytest.raises(RuntimeError, match="no success in 0 attempts"):
        sim.demonstrate(env, 0, 0, (1, 1), tries=0)


def test_the_camera_shows_the_carried_pictures_and_no_goal_marker(env, first_pictures):
    try:
        camera = sim.Camera(env)
    except RuntimeError as error:
        pytest.skip(str(error))
    sim.reset(env, np.random.default_rng([0, 0, 0, 0]))
    picture = camera()
    assert (
        np.abs(picture.astype(float) - first_pictures[0]).mean() < 4
    )  # of 255: what the video's compression changes
    import mujoco

    pictures = []
    for place in ((0.1, 0.6, 0.1), (-0.1, 0.8, 0.1)):  # both in full view
        env.model.site("goal").pos[:] = place
        mujoco.mj_forward(env.model, env.data)
        assert np.allclose(env.data.site("goal").xpos, place)
        pictures.append(camera())
    assert (pictures[0] == pictures[1]).all()


def test_the_command_writes_a_data_set(env, tmp_path, capsys, monkeypatch):
    out = tmp_path / "two"
    monkeypatch.setattr(sys, "argv", ["sim", "--out", str(out), "--episodes", "2", "--size", "0"])
    sim.main()
    made = Carried(out)
    assert (
        made.info["total_episodes"] == 2
        and made.info["video_path"] is None
        and str(out) in capsys.readouterr().out
    )
    assert (made.states[1] == sim.demonstrate(env, 0, 1, tuple(sim.sides_of(2, 0)[1])).states).all()
    with pytest.raises(SystemExit):
        sim.main()
    assert "exists: name a new folder" in capsys.readouterr().err
