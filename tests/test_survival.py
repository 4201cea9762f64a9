"""A run that is killed, interrupted, out of room or doubled goes on as if nothing had been: the
same losses, weights and moments, bit for bit, and nothing temporary is left.

    pytest -m soak tests/test_survival.py        500 kills
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import Chunks, tiny

from minipi0 import Pi0
from minipi0.checkpoint import run
from minipi0.train import Recipe, fit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the lives of a run are forks")


def survived(folder: Path, kills: int) -> dict:
    program = Path(__file__).with_name("survival.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder), str(kills)],
        capture_output=True,
        text=True,
        timeout=3600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    return survived(tmp_path_factory.mktemp("runs"), 20)


def check(found: dict) -> None:
    for name in ("killed", "interrupted"):
        steps = found[name]["steps"]
        assert [3, *steps] == sorted([3, *steps]), "what was saved is never lost"
        assert found[f"{name}: same"]
    assert found["interrupted"]["left"] == 0, "Ctrl-C leaves nothing, not even until the next start"
    assert all(found["full"]) and found["full: same"]
    assert all(found["together"]) and found["together: same"]
    assert found["small disk"] is None or all(found["small disk"])


def test_every_ending_is_survived(found):
    check(found)


@pytest.mark.soak
def test_500_kills(tmp_path):
    check(survived(tmp_path, 500))


def test_killed_between_the_last_state_and_its_model(tmp_path, monkeypatch):
    """The state says that the run is finished, the model beside it is an older one."""
    recipe = Recipe(steps=4, batch_size=4, warmup=0)
    training = dict(dataset=Chunks(), recipe=recipe, save_every=2, progress=False)
    fit(tiny(), out=tmp_path / "whole", **training)
    save, calls = Pi0.save_pretrained, []

    def killed(self, *arguments, **options):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save(self, *arguments, **options)

    monkeypatch.setattr(Pi0, "save_pretrained", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), out=tmp_path / "run", **training)
    fit(tiny(), out=tmp_path / "run", resume=True, **training)
    for name in ("model.safetensors", run.STATE):
        whole, resumed = (tmp_path / folder / name for folder in ("whole", "run"))
        assert whole.read_bytes() == resumed.read_bytes()


def test_a_folder_is_free_again_after_a_run_that_failed(tmp_path):
    recipe = Recipe(steps=3, batch_size=4, warmup=0)
    training = dict(recipe=recipe, out=tmp_path, save_every=1, progress=False)
    with pytest.raises(KeyboardInterrupt) as kept:  # as a notebook keeps the last error
        fit(tiny(), Chunks(fail_at=2), **training)
    assert len(fit(tiny(), Chunks(), resume=True, **training)) == 3 and kept
    with run.alone(tmp_path), pytest.raises(ValueError, match="another process trains in .* now"):
        fit(tiny(), Chunks(), resume=True, **training)
