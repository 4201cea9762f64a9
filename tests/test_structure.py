"""What the design promises of the package's shape: who knows whom, short files, one style."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minipi0"

KNOWS = {  # all that these modules may import from the package
    "flow": set(),
    "config": set(),
    "layouts": set(),
    "gemma": {"config"},
    "checkpoint": {"layouts"},
    "toys": {"flow"},
    "evaluate": set(),
    "compiled": set(),
    "pi0": {"flow", "config", "gemma", "checkpoint", "layouts", "compiled"},
}


def imported(module: str) -> set[str]:
    """Names of the package's modules that a module imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "minipi0":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minipi0."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("minipi0.")}
    return found


@pytest.mark.parametrize("module", KNOWS)
def test_arrows_point_one_way(module):
    assert imported(module) <= KNOWS[module]


def test_files_stay_readable():
    lines = {path.relative_to(PACKAGE): len(path.read_text().splitlines()) for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.js")]}
    assert {str(path): n for path, n in lines.items() if n > 400} == {}
    assert sum(lines[Path(f"{name}.py")] for name in ("flow", "gemma", "pi0")) < 640


def test_ruff_is_clean():
    result = subprocess.run([sys.executable, "-m", "ruff", "check", str(ROOT)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_importing_the_package_needs_no_extra():
    """The simulator and the browser's widgets are for those who use them."""
    code = "import sys, minipi0.data, minipi0.train; print({'metaworld', 'mujoco', 'anywidget', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
