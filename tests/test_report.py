"""A clean data set has no problem; each planted fault is found where it was planted, and named."""

import dataclasses
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minipi0.data import lerobot, report, sources, writer
from minipi0.data.__main__ import main

FPS, LENGTHS = 10, (60, 70, 80, 65, 75, 72)
NAMES, ACTIONS = ["x", "y", "z"], ["x_vel", "y_vel", "z_vel", "gripper"]


def demonstrations(meaning="velocity") -> list[writer.Episode]:
    """Smooth paths that start where they please; actions follow them, the gripper is 0 or 1."""
    rng, made = np.random.default_rng(0), []
    for length in LENGTHS:
        seconds = np.arange(length + 2)[:, None] / FPS
        phase, speed = rng.uniform(0, 6, 3), rng.uniform(0.6, 1.2, 3)
        path = np.sin(phase + speed * seconds) * [0.3, 0.5, 1.0] + 0.01 * seconds
        arm = {
            "velocity": np.diff(path, axis=0)[:length] * FPS,
            "change": np.diff(path, axis=0)[:length],
            "next": path[1 : length + 1],
            "same": path[:length],
            "target": path[2:] + 0.01 * rng.normal(size=(length, 3)),
        }[meaning]
        closed = (np.arange(length) > rng.integers(20, 40)).astype(float)[:, None]
        made.append(writer.Episode(path[:length], np.hstack([arm, closed]), "wave"))
    return made


@pytest.fixture
def recording(tmp_path) -> lerobot.Recording:
    return lerobot.read(writer.write(tmp_path / "set", demonstrations(), FPS, NAMES, ACTIONS))


def edited(recording, **arrays) -> lerobot.Recording:
    return dataclasses.replace(recording, **arrays)


def found(recording) -> dict[str, report.Problem]:
    return {problem.kind: problem for problem in report.examine(recording).problems}


def meanings(source) -> dict[str, str]:
    return dict(zip(ACTIONS, map(str, report.examine(source).meanings), strict=True))


def row(recording, episode: int, frame: int) -> int:
    return recording.episodes[episode].start + frame


def set_clock(recording, make) -> None:
    """Write make(episode, its nominal times) over the timestamps."""
    for file in {episode.rows.file for episode in recording.episodes}:
        table = pq.read_table(file)
        times = np.concatenate(
            [make(episode.index, np.arange(episode.length) / FPS) for episode in recording.episodes]
        )
        at = table.column_names.index("timestamp")
        pq.write_table(table.set_column(at, "timestamp", pa.array(times)), file)


def test_a_clean_set_has_no_problem_and_its_facts_are_right(recording):
    result = report.examine(recording)
    assert result.problems == []
    assert result.lengths.tolist() == list(LENGTHS)
    assert result.facts["episodes"] == "6" and "LeRobot v3.0" in result.facts["format"]
    assert result.facts["cameras"] == "none" and "'wave' (6)" in result.facts["tasks"]
    assert result.facts["clock"].startswith("nominal")
    assert "no problem found" in str(result) and "x_vel" in str(result)


def test_a_folder_and_a_recording_give_the_same_report(recording):
    assert str(report.examine(recording.folder)) == str(report.examine(recording))


@pytest.mark.parametrize(
    ("meaning", "text"),
    [
        ("velocity", "velocity of y"),
        ("change", "change per frame of y"),
        ("next", "position of y"),
        ("target", "position of y"),
    ],
)
def test_what_the_actions_mean(tmp_path, meaning, text):
    folder = writer.write(tmp_path / "set", demonstrations(meaning), FPS, NAMES, ACTIONS)
    said = meanings(folder)
    assert said["y_vel"].startswith(text), said
    assert said["gripper"] == "two values: 0 and 1"


def test_a_scaled_velocity_tells_its_factor_and_noise_goes_with_nothing(recording):
    actions = recording.actions.copy()
    actions[:, 0] *= 4
    actions[:, 1] = np.random.default_rng(1).normal(size=len(actions))
    said = meanings(edited(recording, actions=actions))
    assert said["x_vel"].startswith("velocity of x, times 0.25")
    assert said["y_vel"] == "goes with no single state dim"


@pytest.mark.parametrize(
    ("meaning", "text"), [("next", "one frame ahead"), ("same", "of the same frame")]
)
def test_actions_that_copy_the_state_are_named(tmp_path, meaning, text):
    episodes = demonstrations(meaning)
    for episode in episodes:
        episode.actions = episode.actions[:, :3]
    problem = found(writer.write(tmp_path / "set", episodes, FPS, NAMES, ACTIONS[:3]))["copy"]
    assert text in problem.what and "x_vel, y_vel, z_vel" in problem.where


def test_a_slow_clock_and_its_gap_are_found(recording):
    def slow(index, nominal):
        times = nominal * (1.05 if index == 3 else 1)
        times[50:] += 0.4 if index == 5 else 0
        return times

    set_clock(recording, slow)
    problems = report.examine(recording).problems
    clock, gap = problems
    assert (clock.kind, gap.kind) == ("clock", "gap")
    assert "2 of 6 episodes, most in episode 5" in clock.where and "4.0 frames apart" in clock.what
    assert "9.47 to 10.00 frames" in clock.what
    assert "longest in 5 after frame 49" in gap.where and "0.50 s" in gap.what


def test_a_clock_that_runs_back_is_found(recording):
    set_clock(recording, lambda index, nominal: nominal[::-1] if index == 2 else nominal)
    assert "1 episodes, first 2 at frame 1" in found(recording)["clock"].where


def test_a_set_without_a_clock_is_examined_all_the_same(recording):
    file = recording.episodes[0].rows.file
    pq.write_table(pq.read_table(file).drop_columns(["timestamp"]), file)
    result = report.examine(recording)
    assert result.problems == [] and "no timestamps" in result.facts["clock"]


def test_a_jump_is_found_once_and_where_it_is(recording):
    state = recording.state.copy()
    state[row(recording, 4, 30) : row(recording, 5, 0), 1] += 0.7
    problem = found(edited(recording, state=state))["jump"]
    assert "1 frame, largest in episode 4 after frame 29" in problem.where
    assert problem.what.startswith("y goes from") and "video" in problem.do


def test_an_angle_that_wraps_is_told_from_a_jump(recording):
    state = recording.state.copy()
    state[:, 2] = np.mod(4 * state[:, 2] + 9, 2 * np.pi)
    problem = found(edited(recording, state=state))["jump"]
    assert "unwrap" in problem.do


def test_a_first_frame_left_over_from_the_episode_before_is_found(recording):
    state = recording.state.copy()
    for episode in (1, 2, 3, 5):
        state[row(recording, episode, 0)] = state[row(recording, episode, 0) - 1]
    problem = found(edited(recording, state=state))["stale"]
    assert "episodes 1, 2, 3, 5" in problem.where and "in 4 of them" in problem.what


def test_a_pause_is_found_with_its_length(recording):
    state = recording.state.copy()
    state[row(recording, 2, 20) : row(recording, 2, 45)] = state[row(recording, 2, 20)]
    problem = found(edited(recording, state=state))["pause"]
    assert problem.where.startswith("1 pause ") and "episode 2 from frame 20" in problem.where
    assert "longest 2.4 s" in problem.what and "0 at an episode's start or end" in problem.what


def test_repeated_frames_and_a_stuck_sensor_are_told_apart(recording):
    state, actions = recording.state.copy(), recording.actions.copy()
    for values in (state, actions):
        values[1::3] = values[:-1:3][: len(values[1::3])]
    assert (
        "up to 1 times" in found(edited(recording, state=state, actions=actions))["repeated"].what
    )
    state = recording.state.copy()
    state[row(recording, 0, 10) : row(recording, 0, 45), 0] = 0.05
    problems = found(edited(recording, state=state))
    assert "x, longest in episode 0 from frame 10" in problems["stuck"].where
    assert "stuck for 34 frames" in problems["stuck"].what and "repeated" not in problems


def test_odd_dims_are_named(recording):
    actions = recording.actions.copy()
    actions[:, 0] = 3
    actions[:, 1] *= 1e-3
    actions[row(recording, 3, 33), 1] = 9
    actions[:, 2] = actions[:, 2].clip(-0.3, 0.3)
    actions[:, 3] = 0
    problems = report.examine(edited(recording, actions=actions)).problems
    where = {(problem.kind, problem.where) for problem in problems}
    assert where == {
        ("constant", "action x_vel"),
        ("nearly constant", "action y_vel"),
        ("outlier", "action y_vel"),
        ("saturated", "action z_vel"),
        ("constant", "action gripper"),
    }
    told = {problem.kind: problem for problem in problems}
    assert "episode 3, frame 33" in told["outlier"].what
    assert "gripper that never acts" in told["constant"].do


def test_short_and_long_episodes_are_listed(tmp_path):
    episodes = demonstrations()
    cut = episodes[2]
    episodes[2] = dataclasses.replace(cut, states=cut.states[:9], actions=cut.actions[:9])
    twice = [np.concatenate([part, part[::-1], part]) for part in (cut.states, cut.actions)]
    episodes[4] = dataclasses.replace(cut, states=twice[0], actions=twice[1])
    problems = found(writer.write(tmp_path / "set", episodes, FPS, NAMES, ACTIONS))
    assert problems["short"].where == "episodes 2" and "9 frames" in problems["short"].what
    assert problems["long"].where == "episodes 4"


def test_one_episode_of_one_frame_is_no_error(tmp_path):
    one = writer.Episode(np.ones((1, 3)), np.ones((1, 4)), "")
    assert report.examine(writer.write(tmp_path / "set", [one], FPS, NAMES, ACTIONS)).lengths == [1]


def test_a_long_recording_is_examined_whole(recording):
    """A quarter of a million frames, more than the sample that quantiles are taken from."""
    copies = 600
    long = edited(
        recording,
        state=np.tile(recording.state, (copies, 1)),
        actions=np.tile(recording.actions, (copies, 1)),
        task=np.tile(recording.task, copies),
        episodes=[
            dataclasses.replace(episode, index=k * 6 + episode.index, start=k * 422 + episode.start)
            for k in range(copies)
            for episode in recording.episodes
        ],
    )
    assert len(long.state) == 253_200 and report.examine(long).problems == []


def test_the_command_prints_the_report(recording):
    command = [sys.executable, "-m", "minipi0.data", str(recording.folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{report.examine(recording)}\n"


def test_the_command_answers_an_error_with_one_line(tmp_path, capsys):
    for source, text in ((tmp_path / "nowhere", "is no data set"), (tmp_path, "meta/info.json")):
        with pytest.raises(SystemExit):
            main([str(source)])
        out, err = capsys.readouterr()
        assert out == "" and text in err and err.count("\n") == 1


def test_the_carried_set_is_clean():
    result = report.examine("metaworld-two-ways")
    assert result.problems == []
    assert str(result.meanings[0]).startswith("velocity of hand_x, times 0.7")


@pytest.mark.skipif(not sources.available("cr5-banana", []), reason="cr5-banana is not here")
def test_the_real_arm_has_the_problems_that_its_recordings_are_known_for():
    result = report.examine("cr5-banana")
    assert [problem.kind for problem in result.problems] == [
        "clock",
        "gap",
        "stale",
        "pause",
        "nearly constant",
        "outlier",
    ]
    assert [(m.kind, m.state) for m in result.meanings[:6]] == [("velocity", j) for j in range(6)]
