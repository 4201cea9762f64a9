"""Notebook 11's trials: kept small, read back as they were, and those of the carried weights."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from minipi0.evaluate import compare
from minipi0.robot import trials
from minipi0.robot.rollout import Trial

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))
import measure_11 as study  # noqa: E402
import measure_11_chunks as chunk_study  # noqa: E402

needs_results = pytest.mark.skipif(not study.RESULTS.exists(), reason="nothing is measured yet")


@pytest.fixture
def some(tmp_path, monkeypatch):
    """Results of two conditions, in a file of their own."""
    monkeypatch.setattr(study, "RESULTS", tmp_path / "results" / "some.json")
    found = {}
    for shift, name in enumerate(("flow, 10 steps", "execute 4")):
        trials_ = [
            Trial("Wall", 1_100_000 + i, (i + shift) % 3 > 0, i == 2, -1, 30) for i in range(9)
        ]
        found[name] = trials_
        rows = [[int(getattr(t, column)) for column in study.COLUMNS] for t in trials_]
        entry = {"options": {}, "trials": {"Wall": rows}}
        study._pack(name, entry | ({"hand": [[[1, 2], [30, -4]]]} if shift == 0 else {}))
    return found


def test_trials_are_read_back_as_they_were(some):
    assert study.load() == some
    assert compare(*study.load().values()).n == 9
    (path,) = study.paths()["flow, 10 steps"]
    assert path.tolist() == [[0.001, 0.002], [0.03, -0.004]]
    lines = study.RESULTS.read_text().splitlines()
    assert len(lines) == 4  # a line for every condition


def test_what_is_measured_is_not_measured_again(some, tmp_path, monkeypatch):
    class Setting:
        checkpoint = "somewhere"

        def identity(self):
            return {}

    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(study.Condition, "setting", lambda self: Setting())
    monkeypatch.setattr(study.Condition, "weights", lambda self: "0" * 64)
    monkeypatch.setattr(trials, "Worker", None)  # running one more would fail
    content = json.loads(study.RESULTS.read_text())
    content["conditions"]["execute 4"]["options"] = {"seed": study.SEED}
    study.RESULTS.write_text(json.dumps(content))
    found = study.measure("execute 4", replace(study.conditions()["execute 4"], count=9))
    assert found == some["execute 4"]
    assert study.load()["execute 4"] == some["execute 4"]


def test_every_condition_is_one_change():
    found = study.conditions()
    assert list(found)[0] == "flow, 10 steps"
    kinds = {(c.checkpoint, c.tasks, c.gaussian, c.mean_of, str(c.options)) for c in found.values()}
    assert len(kinds) == len(found)


def test_an_unknown_word_is_refused(capsys):
    with pytest.raises(SystemExit):
        study.main(["sideways"])
    assert "flow, 10 steps" in capsys.readouterr().err


@needs_results
def test_the_stored_trials_are_those_of_the_carried_weights():
    entries, wanted = study._packed(), study.conditions()
    assert set(entries) <= set(wanted) and "flow, 10 steps" in entries
    for name, entry in entries.items():
        condition = wanted[name]
        if not condition.folder.exists():
            pytest.skip(f"the checkpoint {condition.checkpoint} is not carried")
        assert entry["sha256"] == condition.weights(), (
            f"{name!r} was measured with other weights: run python notebooks/measure_11.py"
        )
        assert entry["checkpoint"] == condition.checkpoint
        if condition.gaussian:  # its weights' file is made anew from the demonstrations
            assert entry["options"].items() >= condition.options.items()
        else:
            now = condition.setting().identity() | {"seed": study.SEED}
            assert entry["options"] == json.loads(json.dumps(now))


@needs_results
def test_all_conditions_met_the_same_starts():
    for found in study.load().values():
        for task in {t.task for t in found}:
            seeds = [t.seed for t in found if t.task == task]
            assert seeds == [trials.APART * study.SEED + i for i in range(len(seeds))]


def test_the_policies_of_other_lengths_met_the_same_starts():
    """The carried policy is one of them, and did there what it did in the other trials."""
    rows = {(r["horizon"], r["training_seed"], r["execute"]): r for r in chunk_study.load()}
    planned = {(h, s, k) for h, s in chunk_study.ORDER for k in chunk_study.EXECUTED[h]}
    assert rows.keys() == planned
    trained = {(horizon, seed): row["weights"] for (horizon, seed, _), row in rows.items()}
    assert len(set(trained.values())) == len(trained)  # a checkpoint for every training
    known = study.load()
    for executed, name in ((4, "execute 4"), (8, "flow, 10 steps"), (16, "execute 16")):
        row = rows[chunk_study.CARRIED, 0, executed]
        assert row["outcomes"] == [[int(t.success), int(t.touched)] for t in known[name]]
        assert row["weights"] == study._packed()[name]["options"]["weights"]
