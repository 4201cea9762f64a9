"""The benchmarks' scripts run, compare outputs and write what they promise; their timings are not
looked at.
"""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from minipi0 import Pi0, Pi0Config

FOLDER = Path(__file__).resolve().parent / "benchmarks"


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_speed(tmp_path, capsys, threads):
    speed = script("speed")
    options = "--size tiny --threads 1 --repeats 1 --json".split()
    result = speed.main([*options, str(tmp_path / "speed.json")])
    assert json.loads((tmp_path / "speed.json").read_text()) == json.loads(json.dumps(result))
    assert max(result["difference"].values()) < 2e-5
    rows = [
        f"{group}: {name}"
        for group in ("training step", "sample")
        for name in ("transformers", "minipi0", "minipi0, bf16")
    ]
    assert {*rows, "sample: minipi0, bf16 weights"} <= result[
        "rows"
    ].keys() and "training step: minipi0, checkpointing" in result["rows"]
    assert all(value > 0 for row in result["rows"].values() for value in row.values())
    assert result["rows"]["sample: transformers"]["times faster"] == 1
    for group in (
        "training step",
        "sample",
    ):  # the last layer's prefix output, which nobody reads, is not computed here
        assert 0.5 < result["gflop"][group]["minipi0"] / result["gflop"][group]["transformers"] < 1
    assert result["memory"].keys() == {"transformers", "minipi0", "minipi0, checkpointing"}
    assert "of matmul rate" in capsys.readouterr().out


def test_speed_compiled(monkeypatch, threads):
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: function
    )  # run as it is: no compiler needed
    speed = script("speed")
    result = speed.main(
        ["--size", "tiny", "--threads", "1", "--repeats", "1", "--compile", "--no-memory"]
    )
    kinds = ("transformers, compiled", "minipi0, compiled")
    frozen = (
        "transformers, frozen",
        "minipi0, frozen",
        "minipi0, bf16 weights, compiled",
        "minipi0, bf16 weights, frozen",
    )
    assert {f"sample: {name}" for name in kinds + frozen} | {
        f"training step: {name}" for name in kinds
    } <= result["rows"].keys()
    assert (
        not {f"training step: {name}" for name in frozen} & result["rows"].keys()
    )  # frozen weights do not train
    assert {"actions, compiled", "actions, frozen"} <= result["difference"].keys()


def test_speed_refuses_other_outputs(monkeypatch, threads):
    speed = script("speed")
    right = speed.ref.reference_from

    def wrong(model):
        reference = right(model)
        torch.nn.init.zeros_(reference.action_out_proj.bias)
        return reference

    monkeypatch.setattr(speed.ref, "reference_from", wrong)
    with pytest.raises(SystemExit, match="the outputs differ"):
        speed.main(["--size", "tiny", "--repeats", "1", "--no-memory"])


def test_full_size_at_a_small_size(tmp_path, monkeypatch, capsys):
    """The same script with the mini model in place of the full one: its file, its child process,
    its report.
    """
    full_size = script("full_size")
    monkeypatch.setattr(Pi0Config, "full", Pi0Config.mini)
    full_size.write_checkpoint(tmp_path / "big")
    model = Pi0.from_pretrained(tmp_path / "big")
    assert model.config == Pi0Config.mini() and {p.dtype for p in model.parameters()} == {
        torch.bfloat16
    }
    assert (
        model.embedding.weight.std().sub(0.02).abs() < 1e-3
        and not model.experts.vlm.norm.weight.any()
    )
    monkeypatch.setattr(
        sys,
        "argv",
        ["full_size.py", "--folder", str(tmp_path / "big"), "--json", str(tmp_path / "full.json")],
    )
    with pytest.raises(
        SystemExit, match="too much memory"
    ):  # Python and torch alone are more than this model
        full_size.main()
    result = json.loads((tmp_path / "full.json").read_text())
    assert (
        result["finite"]
        and result["shape"] == [1, 16, 7]
        and result["weight_bytes"] == 2 * result["parameters"]
    )
    assert result["peak_bytes"] > 50e6 and result["seconds"].keys() == {
        "load",
        "images",
        "prefix",
        "Euler step",
        "whole sample",
    }
    assert (tmp_path / "big" / "model.safetensors").exists()  # a folder that was named is kept
    assert "Euler step" in capsys.readouterr().out
