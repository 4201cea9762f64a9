"""Commands answer what is wrong in one line, without a traceback, in their own words."""

import argparse
import importlib
import subprocess
import sys
import warnings

import pytest
import torch
from test_data import TOP, edit_info, video_file, write_set

from minipi0 import train
from minipi0.command_line import Parser, in_words, numbers
from minipi0.data import __main__ as report

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path / "set")


def answer(capsys, folder, *more, main=train.main) -> str:
    """What a command says before it ends."""
    out = folder.parent / "out"
    line = [str(folder)] if main is report.main else ["--data", str(folder), "--out", str(out)]
    line += [] if main is report.main else "--steps 1 --batch-size 2 --device cpu".split()
    with pytest.raises(SystemExit) as ended:
        main([*line, *more])
    assert ended.value.code
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said
    return said


@pytest.mark.parametrize(
    "library, command",
    [
        ("load it with cameras=[]", "load it with --cameras without names"),
        ("with test_every=None and 3", "with --test-every 0 and 3"),
        ("test_every=5 leaves", "--test-every 5 leaves"),
        ("cameras=['a.b', 'c'];", "--cameras a.b c;"),
        ("resume=True goes on", "--resume goes on"),
        ("(without=)", "(--without)"),
        ("episodes=0-1, 3-4", "--episodes 0-1, 3-4"),
        ("give normalise='quantile'", "give --normalise quantile"),
        ("dtype=torch.float32", "dtype=torch.float32"),  # no option is called so
        ("two\nlines  of it", "two lines of it"),
    ],
)
def test_a_message_in_the_commands_words(library, command):
    args = train.command.options().parse_args(["--data", "x", "--out", "y"])
    assert in_words(library, args) == command


def test_numbers_of_episodes():
    assert numbers("7") == [7] and numbers("0-3,") == [0, 1, 2, 3]
    with pytest.raises(argparse.ArgumentTypeError, match="no range like 0-49"):
        numbers("a-b")


def test_a_missing_video(folder, capsys):
    video_file(folder, 2).unlink()
    said = answer(capsys, folder)
    assert "is missing" in said and "--cameras observation.images.wrist" in said
    for file in folder.glob("videos/**/*.mp4"):
        file.unlink()
    assert "--cameras without names" in answer(capsys, folder)


@pytest.mark.parametrize(
    "more, said",
    [
        (["--test-every", "1"], "no train episode, with --test-every 1 and 6 episodes"),
        (["--test-every", "-1"], "--test-every is at least 1, or 0 for none, not -1"),
        (["--steps", "0"], "--steps is at least 1, not 0"),
        (["--cameras", "front"], "camera 'front' is unknown"),
        (["--state-key", "joints"], "choose one with --state-key"),
        (["--episodes", "2", "11"], "lists no episode 11; it has 0-5: correct --episodes"),
        (["--episodes", "two"], "'two' is no number and no range like 0-49"),
        (["--without", "0-5"], "no episode is left"),
        (["--weights", "1"], "--weights are of several data sets"),
        (["--start", "/nowhere"], "nowhere"),
        (["--resume"], "nothing to resume"),
        (["--stepz", "3"], "unrecognized arguments: --stepz"),
    ],
)
def test_what_is_asked_wrongly(folder, capsys, more, said):
    assert said in answer(capsys, folder, "--cameras", "top", *more)


def test_several_data_sets_and_episodes(folder, capsys):
    with pytest.raises(SystemExit):
        train.main(["--data", str(folder), str(folder), "--out", "x", "--episodes", "1"])
    assert "--episodes and --without are of one data set" in capsys.readouterr().err


def test_a_folder_that_is_no_data_set(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    for main in (train.main, report.main):
        assert "is no LeRobot data set" in answer(capsys, tmp_path / "none", main=main)


def test_a_broken_info(folder, capsys):
    edit_info(folder, fps="fast")
    for main in (train.main, report.main):
        assert "fps is 'fast': write the rate there" in answer(capsys, folder, main=main)


def test_ctrl_c_says_how_to_go_on(folder, capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train.command, "fit", stopped)
    assert "start the command again" in answer(capsys, folder, "--cameras")
    (folder.parent / "out").mkdir(exist_ok=True)
    (folder.parent / "out" / train.command.run.STATE).touch()
    assert "--resume goes on from the last saved step" in answer(
        capsys, folder, "--cameras", "--resume"
    )


def test_memory_that_runs_out_is_told(folder, capsys, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(train.command, "fit", full)
    assert "--grad-accumulation" in answer(capsys, folder, "--cameras")


def test_one_held_out_episode_gives_no_interval(tmp_path, capsys, monkeypatch):
    folder = write_set(tmp_path / "few", lengths=(7, 9, 6, 8), cameras=(TOP,))
    monkeypatch.setattr(train.command.evaluate, "spread", lambda dataset, n: torch.tensor([0]))
    line = "--steps 1 --batch-size 2 --device cpu --cameras".split()
    train.main(["--data", str(folder), "--out", str(tmp_path / "out"), *line])
    said = capsys.readouterr().out
    assert "on 1 held-out episode: " in said and "one episode gives no interval" in said
    assert "interval 0" not in said and "--resume and --steps above 1" in said


def test_warnings_are_lines_too(capsys):
    parser = Parser(prog="it")
    parser.add_argument("--without")
    with parser.errors_in_one_line(parser.parse_args([])):
        warnings.simplefilter("always")
        for _ in range(2):  # both splits of a data set warn of the same: it is told once
            warnings.warn("odd: without= it", stacklevel=1)
    assert capsys.readouterr().err == "it: warning: odd: --without it\n"


@pytest.mark.parametrize("module", ["demonstrate", "recipes", "pretrain"])
def test_commands_of_the_robot_answer_in_one_line_too(module, capsys, monkeypatch, tmp_path):
    command = importlib.import_module(f"minipi0.robot.{module}")

    def full(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(command, "generate" if module == "demonstrate" else "make", full)
    line = {"demonstrate": ["--task", "Wall"], "recipes": ["wall"], "pretrain": []}[module]
    with pytest.raises(SystemExit):
        command.main([*line, "--out", str(tmp_path / "new")])
    said = capsys.readouterr().err
    assert said == f"python -m minipi0.robot.{module}: error: the disk is full\n"


def test_a_reader_who_has_seen_enough(folder):
    command = f"'{sys.executable}' -m minipi0.data '{folder}' | true"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert result.stderr == ""
