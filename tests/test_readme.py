"""The README's snippets: what can run here is run, with small settings; the rest is parsed."""

import re
import runpy
import shlex
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import Chunks, tiny

from minipi0 import Pi0
from minipi0.data import sources
from minipi0.robot import server
from minipi0.robot.client import Client

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHELL = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if line]
PYTHON = [text for kind, text in BLOCKS if kind == "python" and "google.colab" not in text]

# every line of the shell blocks -> what is done with it here
RUN, SERVE = "run, with small settings", "run as a server, and asked"
RELEASED = "not run: it needs the released weights, 6.5 GB; its options are looked up below"
WHAT_IS_DONE = {
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/jupyter lab "
    "notebooks": "not run: it installs from the network and opens a browser; .ci/run installs so",
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/pytest": (
        "not run: it would run this test; .ci/run does it"
    ),
    "uv venv && uv pip install -r requirements.txt": "not run: it installs from the network",
    ".venv/bin/python -m minipi0.evaluate": RUN,
    ".venv/bin/python -m minipi0.data": RUN,
    ".venv/bin/python -m minipi0.train": RUN,
    ".venv/bin/python -m minipi0.serve": SERVE,
}


def done_with(line: str) -> str:
    if "--start lerobot/" in line:
        return RELEASED
    found = [what for start, what in WHAT_IS_DONE.items() if line.startswith(start)]
    assert len(found) == 1, f"say in WHAT_IS_DONE what is done with this line: {line}"
    return found[0]


def command(line: str, monkeypatch, **changes) -> None:
    """Run `… python -m MODULE …` in this process, some of its options' values changed."""
    _, _, module, *arguments = shlex.split(line)
    for i, value in enumerate(arguments):
        for old, new in changes.items():
            if value == f"--{old}":
                arguments[i + 1] = str(new)
            elif value == "your-name/your-dataset" and old == "dataset":
                arguments[i] = str(new)
    if module == "minipi0.train":  # a mini model and few chunks: seconds, not minutes
        arguments += ["--batch-size", "2", "--test-every", "0", "--device", "cpu"]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as left:
        assert not left.code, f"{line}: exit status {left.code}"


@pytest.fixture(scope="module")
def recorded():
    """A data set as a reader might have one."""
    return sources.locate("metaworld-two-ways")


def test_every_shell_line_is_accounted_for():
    for line in SHELL:
        done_with(line)
    installs = [line for line in SHELL if done_with(line).startswith("not run")]
    for line in installs:
        for word in ("requirements.txt", "notebooks"):
            assert word not in shlex.split(line) or (ROOT / word).exists()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_policys_and_the_datas_commands_run(monkeypatch, tmp_path, recorded, capsys):
    out = {"out": tmp_path / "mine", "trials": 1, "steps": 2, "dataset": recorded}
    for line in SHELL:
        if done_with(line) == RUN:
            changes = out | ({"out": tmp_path / "wall.json"} if "evaluate" in line else {})
            command(line, monkeypatch, **changes)
            assert capsys.readouterr().out
    assert Pi0.from_pretrained(tmp_path / "mine").stats and (tmp_path / "wall.json").exists()


def test_the_server_of_the_readme_answers(monkeypatch, tmp_path):
    (line,) = [line for line in SHELL if done_with(line) == SERVE]
    trained(tmp_path)
    started = []
    real = server.start

    def start(*arguments, **options):
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(server, "start", start)
    arguments = shlex.split(line)[3:]
    arguments[arguments.index("--checkpoint") + 1] = str(tmp_path)
    arguments[arguments.index("--port") + 1] = "0"
    thread = threading.Thread(target=server.main, args=(arguments,))
    thread.start()
    while not started and thread.is_alive():
        threading.Event().wait(0.05)
    with Client(f"ws://127.0.0.1:{started[0].socket.getsockname()[1]}") as robot:
        assert robot(seen()).shape == (16, 4)
    started[0].shutdown()
    thread.join()


def trained(folder: Path) -> None:
    """What a training leaves: the carried wall's policy, under the README's name."""
    model = Pi0.from_pretrained(ROOT / "minipi0/checkpoints/wall")
    model.save_pretrained(folder)


def seen() -> dict:
    picture = np.zeros((64, 64, 3), np.uint8)
    return {"front": picture, "state": np.zeros(4, np.float32), "prompt": "go"}


def test_released_weights(tmp_path):
    """The released model's snippet, with a tiny file in its place and without compiling."""
    tiny().save_pretrained(tmp_path)
    (text,) = [text for text in PYTHON if "lerobot/pi0_base" in text]
    assert text.count("model.compile()") == 1
    text = text.replace("lerobot/pi0_base", str(tmp_path)).replace("model.compile()", "None")
    observation, _, _ = Chunks().batch(torch.arange(2))
    names = {"observation": observation}
    exec(text, names)
    assert names["actions"].shape == (2, 4, 3)


def test_training_from_python(tmp_path, recorded, monkeypatch):
    (text,) = [text for text in PYTHON if "train.fit" in text]
    assert text.count("steps=2000") == 1
    text = text.replace("steps=2000", "steps=1").replace("path/to/your/dataset", str(recorded))
    monkeypatch.chdir(tmp_path)
    exec(text, {})
    assert Pi0.from_pretrained(tmp_path / "runs/mine").about["cameras"]


def test_acting_from_python(tmp_path, monkeypatch):
    (text,) = [text for text in PYTHON if "Ahead(" in text]
    trained(tmp_path / "runs/mine")
    monkeypatch.chdir(tmp_path)
    names = {"picture": seen()["front"], "joints": seen()["state"]}
    exec(text, names)
    assert names["action"].shape == (4,)


def test_no_python_block_is_forgotten():
    known = ("lerobot/pi0_base", "train.fit", "Ahead(")
    assert [sum(word in text for word in known) for text in PYTHON] == [1] * len(PYTHON)


MENTIONED = sorted(set(re.findall(r"python -m (minipi0[\w.]*)((?: --?[^`\n]*)?)", README)))


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("module", sorted({module for module, _ in MENTIONED}))
def test_options_that_the_readme_names_are_there(module, monkeypatch, capsys):
    """Also those in the running text."""
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    said = capsys.readouterr().out
    named = {o for m, rest in MENTIONED if m == module for o in re.findall(r"--[\w-]+", rest)}
    assert [option for option in named if option not in said] == []
