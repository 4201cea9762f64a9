"""Two processes train as one: the same losses, one of them writes, and a killed one ends the job.

On a GPU machine `accelerate launch` starts them; on CPUs, over gloo, torch's own launcher does.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic import Chunks, tiny

from minipi0 import Pi0, Pi0Config, train
from minipi0.checkpoint import run
from minipi0.train import Recipe, fit, tuning
from minipi0.train.team import Team, join

RECIPE = Recipe(steps=6, batch_size=7, warmup=0)  # shares of 4 and 3 chunks
START = f"""if True:
    import json, os, sys
    from pathlib import Path
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    from synthetic import Chunks, tiny
    from minipi0 import train
    from minipi0.train import Recipe, fit, tuning
    from minipi0.train.team import join
    folder, kill = Path(sys.argv[1]), len(sys.argv) > 2
    accelerator = join(folder / "run")
    recipe = Recipe(steps=6, batch_size=7, warmup=0)
    class Killed(Chunks):
        def batch(self, indices):
            if kill and accelerator.process_index == 1 and self.calls == 5:
                os.kill(os.getpid(), 9)
            return super().batch(indices)
    options = dict(recipe=recipe, augment=True, accelerator=accelerator, progress=False)
"""
KILLED = (
    START
    + """
    fit(tiny(), Killed(), out=folder / "run", save_every=2, **options)
"""
)
RESUMED = (
    START
    + """
    models = [tiny(), tiny(), tiny()]
    whole = fit(models[0], Chunks(), **options)
    resumed = fit(models[1], Chunks(), out=folder / "run", resume=True, **options)
    tuning.freeze(models[2], "vlm")
    parts = fit(models[2], Chunks(), grad_accumulation=2, **options)
    sharing = dict(shard=True, save_every=2, out=folder / "shared")
    sharded = fit(tiny(), Killed(), grad_accumulation=2, **sharing, **options)
    again = tiny()
    import dataclasses
    longer = options | dict(recipe=dataclasses.replace(recipe, steps=8))
    more = fit(again, Chunks(), grad_accumulation=2, resume=True, **sharing, **longer)
    same = all((a == b).all() for a, b in zip(*(m.parameters() for m in models[:2])))
    train.main("--data metaworld-two-ways --steps 2 --batch-size 3 --device cpu --test-every 0 "
        f"--seed 3 --out {folder}/command".split())
    if accelerator.is_main_process:
        print(json.dumps([whole, resumed, parts, bool(same), sharded, more]))
"""
)


def launched(program: str, *arguments) -> subprocess.CompletedProcess:
    """A program in two processes, by torch's launcher (which accelerate's is on GPUs)."""
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    file = arguments[0] / "program.py"
    file.write_text(program)
    # when one is gone, the launcher ends the other only after it had the time to say so itself
    line += ["--monitor-interval", "3", "--standalone", str(file), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=600)


def test_two_processes_are_one(tmp_path):
    done = launched(KILLED, tmp_path, "kill")
    assert done.returncode != 0
    assert "another process of this job ended" in done.stderr and "--resume" in done.stderr
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        *("config.json", "model.safetensors", run.STATE)
    ]
    done = launched(RESUMED, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    whole, resumed, parts, same, sharded, more = json.loads(lines[-1])
    reports = [line for line in lines if line.startswith("trained model")]
    assert lines[0] in reports and len(reports) == 1, "one process reports"
    assert whole == resumed and same, "bit for bit"
    alone = tiny()
    assert whole == pytest.approx(
        fit(alone, Chunks(), recipe=RECIPE, augment=True, progress=False), rel=1e-6
    )
    # weights, gradients, moments and average shared out: the same numbers, and the same files
    assert sharded == pytest.approx(whole, rel=1e-6)
    assert more[:6] == sharded and len(more) == 8
    longer = fit(tiny(), Chunks(), recipe=replace(RECIPE, steps=8), augment=True, progress=False)
    assert more[6] == pytest.approx(longer[6], rel=0.05)  # another cosine, but for the first step
    shared = Pi0.from_pretrained(tmp_path / "shared")
    assert shared.config == tiny().config
    loaded = Pi0.from_pretrained(tmp_path / "run")
    torch.testing.assert_close(loaded.state_dict(), alone.state_dict(), rtol=1e-3, atol=5e-4)
    frozen = tiny()
    tuning.freeze(frozen, "vlm")
    assert parts == pytest.approx(
        fit(frozen, Chunks(), recipe=RECIPE, augment=True, progress=False), rel=1e-6
    )
    assert Pi0.from_pretrained(tmp_path / "command").stats["action_mean"].shape == (4,)


def test_one_process_needs_no_engine(monkeypatch, tmp_path):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join(tmp_path) is None
    team, whole = Team(), torch.arange(5)
    assert team.first and torch.equal(team.mine(whole), whole) and team.sum(whole) is whole
    team.wait()
    assert not team.lost(RuntimeError("Connection reset by peer"))


def test_the_settings_for_the_full_model_are_what_accelerate_reads():
    from accelerate.commands.config.config_args import load_config_from_file

    file = Path(train.__file__).parent / "full_model.yaml"
    settings = load_config_from_file(str(file))
    assert settings.num_processes == 8 and settings.mixed_precision == "bf16"
    with torch.device("meta"):
        full = train.count(Pi0(Pi0Config.full()), batch_size=1, cameras=3)
    assert f"{full.activations / 1e9:.1f} GB a chunk" in file.read_text()
    assert f"{(full.total - full.activations) / 8e9:.1f} GB" in file.read_text()


def test_sharing_out_that_cannot_be():
    with pytest.raises(ValueError, match="there is only one"):
        fit(tiny(), Chunks(), steps=1, shard=True, progress=False)
