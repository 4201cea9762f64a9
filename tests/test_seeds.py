"""Every conclusion that a notebook asserts holds for other seeds too, on one thread and on two.

    pytest -m soak tests/test_seeds.py -n 2 --dist load        two to three hours

Notebooks 00 and 11 draw nothing that an assert depends on: they read stored trials.
"""

import shutil
from pathlib import Path

import nbformat
import pytest
from browser import KERNEL
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
DRAWN = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if "MINIPI0_SEED" in path.read_text()]


@pytest.fixture
def place(tmp_path) -> Path:
    """A copy of the notebooks' folder, as some write files beside themselves."""
    leave = shutil.ignore_patterns("runs", ".ipynb_checkpoints", "__pycache__")
    return shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=leave)


@pytest.mark.soak
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem[:2])
def test_a_conclusion_is_no_luck(path, seed, threads, place, monkeypatch):
    monkeypatch.setenv("MINIPI0_SEED", str(seed))
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    notebook = nbformat.read(path, as_version=4)
    kernel = KERNEL | {"timeout": 1800}  # of a cell: a conclusion must not fall by a busy machine
    NotebookClient(notebook, **kernel, resources={"metadata": {"path": str(place)}}).execute()


def test_all_but_two_notebooks_can_be_drawn_anew():
    others = {path.stem[:2] for path in NOTEBOOKS.glob("*.ipynb")} - {p.stem[:2] for p in DRAWN}
    assert others == {"00", "11"}
