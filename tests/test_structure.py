"""What the design promises of the package's shape: who knows whom, short files, one style."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minipi0"
COMMAND = "if __name__ == '__main__':"
EXPORTED = {"ExpertConfig", "Observation", "Pi0", "Pi0Config", "VisionConfig"}  # by minipi0 itself

# file or room -> the others whose names it may import: only rooms above it, so there is no circle
ROOMS = {
    "flow": set(),
    "config": set(),
    "observation": set(),
    "prompt": set(),
    "compiled": set(),
    "command_line": set(),
    "normalise": set(),
    "intervals": set(),
    "planning": set(),
    "evaluate": {"intervals"},
    "toys": {"flow"},
    "gemma": {"config"},
    "attention_maps": {"gemma"},
    "checkpoint": {"config", "normalise"},
    "data": {"normalise", "observation", "prompt", "command_line"},
    "pi0": {"flow", "config", "gemma", "observation", "checkpoint", "compiled"},
    "vlm": {"observation", "pi0", "prompt"},
    "baselines": {"flow", "checkpoint", "config", "observation", "pi0", "vlm"},
    "train": {
        *("flow", "config", "observation", "prompt", "compiled", "evaluate"),
        *("checkpoint", "data", "pi0", "normalise", "command_line"),
    },
    "robot": {
        *("flow", "config", "observation", "prompt", "normalise", "intervals", "command_line"),
        *("checkpoint", "data", "pi0", "vlm", "baselines", "train"),
    },
    "serve": {"robot"},
    "plots": {"flow", "toys", "evaluate", "intervals", "planning"},
    "widgets": {"toys", "planning", "checkpoint", "data", "robot", "plots"},
    "exercises": {"flow", "toys", "evaluate", "pi0", "robot", *EXPORTED},
}
INSIDE = {  # the order of a room's files: each may import those before it
    "data": "sources tables features places rows lerobot writer pictures decoders frames cameras "
    "mixture subset splits chunks problems report neighbours",
    "checkpoint": "files adapters layouts sizes places lerobot statistics about store run",
    "toys": "targets network",
    "baselines": "regression giant_decoder insulated diffusion head octo two_step tau",
    "train": "augment feed tuning memory team loop command",
    "robot": "simulator tasks wall touch two_ways demonstrate recipes questions pretrain "
    "teleoperate chunking ahead inputs policy rollout trials watch live scenes server client",
    "plots": "style output shared flow_field straight_lines velocity_targets why_tau "
    "one_vs_ten_steps two_experts separate_expert standing_on_a_vlm real_robot_data real_robot "
    "how_many_trials real_pi0 meet_the_robot your_robot octo_and_rivals",
    "widgets": "targets base guess scribble posterior mask_explorer straight_line flow_field "
    "euler_steps fallback episode_player trial_planner recordings robot_player robot_fallback "
    "teleoperator",
}


def imported(file: Path) -> set[str]:
    """The package's modules that a file imports anywhere, dotted, without the package's own
    name.
    """
    found = set()
    tree = ast.parse(file.read_text())
    # what a file does as a command is no arrow: nobody who imports it gets that
    tree.body = [node for node in tree.body if not ast.unparse(node).startswith(COMMAND)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minipi0":
            inner = node.module.split(".")[1:]
            found |= {".".join([*inner, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {n.removeprefix("minipi0.") for n in names if n.startswith("minipi0.")}
    return found


def test_every_file_and_room_has_its_place():
    found = {path.stem for path in PACKAGE.glob("*.py")}
    found |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_point_one_way(room):
    files = sorted((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    known = {name.split(".")[0] for file in files for name in imported(file)} - {room}
    above = list(ROOMS)[: list(ROOMS).index(room)]
    assert known <= ROOMS[room] and ROOMS[room] <= {*above, *EXPORTED}


@pytest.mark.parametrize("room", INSIDE)
def test_no_arrow_runs_back_inside_a_room(room):
    order = INSIDE[room].split()
    there = {path.stem for path in (PACKAGE / room).glob("*.py")}
    assert there - {"__init__", "__main__"} == set(order)
    for i, file in enumerate(order):
        known = imported(PACKAGE / room / f"{file}.py")
        inner = {name.split(".")[1] for name in known if name.startswith(f"{room}.")}
        assert inner <= set(order[:i]), file


def test_files_stay_readable():
    lines = {
        path.relative_to(PACKAGE): len(path.read_text().splitlines())
        for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.js")]
    }
    assert {str(path): n for path, n in lines.items() if n > 400} == {}
    assert sum(lines[Path(f"{name}.py")] for name in ("flow", "gemma", "pi0")) < 820


def test_ruff_is_clean():
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", str(ROOT)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def test_importing_the_package_needs_no_extra():
    """The simulator and the browser's widgets are for those who use them."""
    code = (
        "import sys, minipi0.data, minipi0.train; print({'metaworld', 'mujoco', 'anywidget', "
        "'matplotlib'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "set()\n"
    )
