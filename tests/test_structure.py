"""What the design promises of the package's shape: who knows whom, short files, one style."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minipi0"

# file or room -> the others whose names it may import; a room's files are checked against one
# another below
ROOMS = {
    "flow": set(),
    "config": set(),
    "observation": set(),
    "prompt": set(),
    "compiled": set(),
    "evaluate": {"robot"},  # its command line alone
    "planning": set(),
    "normalise": set(),
    "toys": {"flow"},
    "gemma": {"config"},
    "attention_maps": {"gemma"},
    "checkpoint": {"config", "normalise"},
    "data": {"normalise", "observation", "prompt"},
    "pi0": {"flow", "config", "gemma", "observation", "checkpoint", "compiled"},
    "robot": {
        "baselines",
        "checkpoint",
        "config",
        "data",
        "evaluate",
        "flow",
        "normalise",
        "observation",
        "pi0",
        "prompt",
        "train",
    },
    "baselines": {"flow", "checkpoint", "config", "gemma", "observation", "pi0"},
    "train": {"checkpoint", "compiled", "config", "data", "evaluate", "pi0", "prompt"},
}
INSIDE = {  # the order of a room's files: each may import those before it
    "data": [
        "sources",
        "lerobot",
        "writer",
        "frames",
        "chunks",
        "problems",
        "report",
        "neighbours",
    ],
    "checkpoint": ["files", "layouts", "sizes", "statistics", "about", "store", "run"],
    "toys": ["targets", "network"],
}


def imported(file: Path) -> set[str]:
    """The package's modules that a file imports anywhere, dotted, without the package's own
    name.
    """
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minipi0":
            inner = node.module.split(".")[1:]
            found |= {".".join([*inner, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("minipi0.")
                for alias in node.names
                if alias.name.startswith("minipi0.")
            }
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_point_one_way(room):
    files = sorted((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    known = {name.split(".")[0] for file in files for name in imported(file)} - {room}
    assert known <= ROOMS[room]


@pytest.mark.parametrize("room", INSIDE)
def test_no_arrow_runs_back_inside_a_room(room):
    assert {path.stem for path in (PACKAGE / room).glob("*.py")} - {"__init__", "__main__"} == set(
        INSIDE[room]
    )
    for i, file in enumerate(INSIDE[room]):
        inner = {
            name.split(".")[1]
            for name in imported(PACKAGE / room / f"{file}.py")
            if name.startswith(f"{room}.")
        }
        assert inner <= set(INSIDE[room][:i]), file


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
