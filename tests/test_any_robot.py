"""Notebooks 09, 10 and 12 run on other robots' data by changing one line."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
from browser import KERNEL
from nbclient import NotebookClient

from minipi0.data.writer import Episode, write

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def humanoid(folder: Path) -> Path:
    """26 joints told by position, no gripper, three tasks, two cameras, 9 episodes."""
    rng, names = np.random.default_rng(0), [f"joint_{i}" for i in range(26)]
    episodes = []
    for i in range(9):
        time = np.arange(48)[:, None] / 20
        path = np.sin(rng.uniform(0.5, 2, 26) * time + rng.uniform(0, 6, 26)).cumsum(0) / 20
        shade = np.broadcast_to((90 + 60 * path[:, 0])[:, None, None, None], (48, 24, 32, 3))
        videos = {f"observation.images.{name}": shade.astype(np.uint8) for name in ("head", "hand")}
        task = ("wave", "fold the towel", "lift the box")[i % 3]
        episodes.append(Episode(path[:-1], path[1:], task, {k: v[:-1] for k, v in videos.items()}))
    return write(folder, episodes, 20, names, [f"{name}_target" for name in names], "humanoid")


def blind_arm(folder: Path) -> Path:
    """Three velocities and a gripper, one task, no camera, 20 episodes."""
    rng, episodes = np.random.default_rng(1), []
    for _ in range(20):
        length = int(rng.integers(36, 48))
        velocity = rng.normal(size=(length, 3)).cumsum(0) / 10
        gripper = np.where(np.arange(length) < rng.integers(15, 30), 0.0, 1.0)
        place = np.concatenate([np.zeros((1, 3)), velocity[:-1].cumsum(0) / 10])
        episodes.append(Episode(place, np.column_stack([velocity, gripper]), "push"))
    return write(folder, episodes, 10, ["x", "y", "z"], ["vx", "vy", "vz", "gripper"], "arm")


def wide_robot(folder: Path) -> Path:
    """34 joints, more than the released model has room for, and a long instruction."""
    rng, names = np.random.default_rng(2), [f"joint_{i}" for i in range(34)]
    paths = [rng.normal(size=(40, 34)).cumsum(0) / 20 for _ in range(6)]
    task = "take the left shoe with both hands, turn it, and put it into the red box on the shelf"
    return write(folder, [Episode(p[:-1], p[1:], task) for p in paths], 20, names, names, "wide")


ROBOTS = {"humanoid": humanoid, "blind_arm": blind_arm}


@pytest.fixture(scope="module", params=ROBOTS)
def robot(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / request.param
    return request.param, ROBOTS[request.param](folder)


def run_on(name: str, folder: Path, monkeypatch, changes: dict) -> str:
    """Execute a notebook with its line SOURCE changed. Returns all that it printed.

    changes: what else is replaced in the code, old by new.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    replaced = {'SOURCE = "cr5-banana"': f"SOURCE = {str(folder)!r}"} | changes
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for old, new in replaced.items():
        (cell,) = [cell for cell in code if old in cell.source]
        cell.source = cell.source.replace(old, new)
    place = {"metadata": {"path": str(NOTEBOOKS)}}
    NotebookClient(notebook, **KERNEL, resources=place).execute()
    outputs = [output for cell in code for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def test_notebook_09_reads_any_robot(robot, monkeypatch):
    name, folder = robot
    said = run_on("09_real_robot_data.ipynb", folder, monkeypatch, {})
    assert f"robot     {name.split('_')[-1]}" in said
    for what, told in {
        "No camera is used": name == "blind_arm",
        "no clock was recorded, so there is nothing to draw": True,
        "there is no gripper to look at": name == "humanoid",
        "too few for 16 neighbours": name == "humanoid",
    }.items():
        assert (what in said) == told, what


def test_notebook_10_trains_on_any_robot(robot, monkeypatch):
    name, folder = robot
    few = {"steps=500": "steps=3", "spread(test_set, 300)": "spread(test_set, 24)"}
    few |= {"range(40)": "range(4)", "spread(test_set, 512)": "spread(test_set, 64)"}
    said = run_on("10_train_on_a_real_robot.ipynb", folder, monkeypatch, few)
    for what, told in {
        "This data set has no camera": name == "blind_arm",
        "This data set has no two-valued action": name == "humanoid",
        "another one's instruction": name == "humanoid",
    }.items():
        assert (what in said) == told, what


@pytest.mark.parametrize("make", [*ROBOTS.values(), wide_robot], ids=lambda make: make.__name__)
def test_notebook_12_fits_any_robot(make, tmp_path, monkeypatch):
    name, folder = make.__name__, make(tmp_path / "data")
    few = {
        "dict(depth=6, num_heads=8": "dict(depth=2, num_heads=8",
        "in range(3)])": "in range(1)])",
    }
    said = run_on("12_the_real_pi0.ipynb", folder, monkeypatch, few)
    for what, told in {
        "no camera video": name != "humanoid",
        "the released weights do not fit it": name == "wide_robot",
        "2 of 32 x 24, 32 x 24": name == "humanoid",
    }.items():
        assert (what in said) == told, what
