"""The training loop: what it computes, that it can be interrupted, and what it refuses."""

import copy
import functools
import math
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic import TINY, Chunks, tiny

from minipi0 import Pi0, Pi0Config, train
from minipi0.baselines import Regression
from minipi0.checkpoint import run
from minipi0.train import Recipe, fit

WRITTEN = ["config.json", "model.safetensors", run.STATE]


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_it_learns():
    losses = fit(tiny(), Chunks(), steps=120, progress=False)
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])


def test_an_interrupted_run_resumes_bit_for_bit(tmp_path):
    recipe = Recipe(steps=9, batch_size=8, warmup=2)
    whole = tiny()
    losses = fit(whole, Chunks(), recipe=recipe, progress=False)

    (
        tmp_path / f".{run.STATE}.killed"
    ).touch()  # what a process leaves that is killed while it writes
    with pytest.raises(
        KeyboardInterrupt
    ):  # in step 6 (call 0 looks at the data), two steps after the state of four steps was written
        fit(tiny(), Chunks(fail_at=7), recipe=recipe, out=tmp_path, save_every=4, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == WRITTEN
    resumed = tiny()
    torch.nn.init.zeros_(resumed.action_out_proj.weight)  # what it starts from must not matter
    torch.manual_seed(123)  # nor may the global generator
    saving = dict(out=tmp_path, save_every=4, resume=True, progress=False)
    assert fit(resumed, Chunks(), recipe=recipe, **saving) == losses
    assert same(whole, resumed) and not whole.training and not resumed.training


def test_a_run_killed_while_it_saves_resumes_bit_for_bit(tmp_path):
    """SIGKILL at any moment leaves the last whole state; a pause inside the writing makes sure that
    the moment is in there.
    """
    program = f"""if True:
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from synthetic import Chunks, tiny
        from minipi0.checkpoint import run
        from minipi0.train import Recipe, fit
        write = run.write_tensors
        def slowly(path, tensors, metadata):
            write(path, tensors, metadata)
            with open(path, "r+b") as file:
                file.truncate(1000)
                print(len(tensors["losses"]), flush=True)
                time.sleep(60 if len(tensors["losses"]) == 6 else 0)
            write(path, tensors, metadata)
        run.write_tensors = slowly
        recipe = Recipe(steps=9, batch_size=8, warmup=2)
        fit(tiny(), Chunks(), recipe=recipe, out={str(tmp_path)!r}, save_every=2, progress=False)"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    while (line := process.stdout.readline().strip()) != "6":
        assert line in ("2", "4"), f"it ended early: {line!r}"
    process.kill()
    process.wait()
    assert len(list(tmp_path.iterdir())) == 4, "the state of step 4, and a part of the next"
    assert Pi0.from_pretrained(tmp_path).config == tiny().config, "the model of step 4 loads"
    recipe, whole, resumed = Recipe(steps=9, batch_size=8, warmup=2), tiny(), tiny()
    losses = fit(whole, Chunks(), recipe=recipe, progress=False)
    saving = dict(out=tmp_path, save_every=2, resume=True, progress=False)
    assert fit(resumed, Chunks(), recipe=recipe, **saving) == losses
    assert same(whole, resumed)
    assert sorted(path.name for path in tmp_path.iterdir()) == WRITTEN


def test_a_finished_run_can_be_made_longer(tmp_path):
    recipe = Recipe(steps=3, batch_size=8, warmup=0)
    losses = fit(tiny(), Chunks(), recipe=recipe, out=tmp_path, progress=False)
    longer = replace(recipe, steps=5)
    more = fit(tiny(), Chunks(), recipe=longer, out=tmp_path, resume=True, progress=False)
    assert more[:3] == losses and len(more) == 5
    with pytest.raises(ValueError, match="another recipe: steps: 5 then, 4 now"):
        shorter = replace(recipe, steps=4)
        fit(tiny(), Chunks(), recipe=shorter, out=tmp_path, resume=True, progress=False)


def test_a_run_made_longer_may_have_the_longer_runs_warm_up(tmp_path):
    """`steps` alone gives a tenth of them as warm-up: past it, it is no other recipe."""
    training = dict(dataset=Chunks(), out=tmp_path, progress=False)
    losses = fit(tiny(), steps=20, **training)
    more = fit(tiny(), steps=40, resume=True, **training)
    assert more[:20] == losses and len(more) == 40
    with pytest.raises(ValueError, match="another recipe: warmup: 4 then, 50 now"):
        fit(tiny(), steps=500, resume=True, **training)  # 40 steps are within that warm-up


def test_what_a_run_leaves_is_a_model_that_loads(tmp_path):
    model = tiny()
    fit(model, Chunks(), steps=3, out=tmp_path, progress=False)
    loaded = Pi0.from_pretrained(tmp_path)
    assert same(loaded, model) and loaded.config == model.config


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    recipe = Recipe(steps=3, batch_size=8, warmup=0)
    first, again = tiny(), tiny()
    losses = fit(first, Chunks(), recipe=recipe, out=tmp_path, progress=False)
    assert fit(again, Chunks(), recipe=recipe, out=tmp_path, resume=True, progress=False) == losses
    assert same(first, again)


def test_the_model_ends_with_the_average_of_its_weights():
    snapshots = []

    model = tiny()
    loss = model.loss

    @functools.wraps(loss)
    def spied(*batch, **options):
        snapshots.append(copy.deepcopy(model.state_proj.weight.detach()))
        return loss(*batch, **options)

    model.loss = spied
    recipe = Recipe(steps=5, batch_size=8, warmup=0, ema=0.8)
    fit(model, Chunks(), recipe=recipe, progress=False)
    raw = tiny()
    fit(
        raw, Chunks(), recipe=Recipe(steps=5, batch_size=8, warmup=0, ema=0.0), progress=False
    )  # no averaging: the last weights
    average = snapshots[1]  # the average begins with the weights after the first step
    for t, weights in enumerate([*snapshots[2:], raw.state_proj.weight.detach()], start=1):
        kept = min(0.8, (1 + t) / (10 + t))  # the average warms up
        average = kept * average + (1 - kept) * weights
    torch.testing.assert_close(model.state_proj.weight.detach(), average)


def test_padded_actions_change_nothing():
    recipe = Recipe(steps=3, batch_size=16, warmup=0)
    quiet, loud = tiny(), tiny()
    masked_noise = Chunks(padding=0.0), Chunks(padding=50.0)
    losses = [
        fit(model, chunks, recipe=recipe, progress=False)
        for model, chunks in zip((quiet, loud), masked_noise, strict=True)
    ]
    # padded actions are noised and read by the network, so they may colour its input; as targets
    # they must not count
    assert max(losses[1]) < 10, "a target of 50 squared would show"


def test_every_epoch_takes_each_chunk_once():
    recipe = Recipe(steps=10, batch_size=8, seed=3)
    drawn = torch.cat([recipe.indices(step, 20) for step in range(5)])  # 40 = two epochs
    assert drawn[:20].sort().values.tolist() == drawn[20:].sort().values.tolist() == list(range(20))
    assert drawn[:20].tolist() != drawn[20:].tolist()
    assert len(Recipe(batch_size=50).indices(0, 20)) == 50  # a batch larger than the data set


def test_learning_rate_warms_up_and_ends_low():
    recipe = Recipe.released()
    assert recipe.rate(0) == pytest.approx(2.5e-8)
    assert recipe.rate(999) == recipe.rate(1000) == pytest.approx(2.5e-5)
    assert recipe.rate(recipe.steps) == pytest.approx(2.5e-6)
    assert recipe.rate(15_500) == pytest.approx((2.5e-5 + 2.5e-6) / 2)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched():
    class Broken(Chunks):
        def batch(self, indices):
            observation, actions, mask = super().batch(indices)
            if self.calls == 3:
                actions = actions * 1e30  # finite, but not its square
            return observation, actions, mask

    recipe = Recipe(steps=5, batch_size=4, warmup=0, ema=0.0)
    model = tiny()
    indices = recipe.indices(2, 37).tolist()
    with pytest.raises(FloatingPointError, match="step 2") as error:
        fit(model, Broken(), recipe=recipe, progress=False)
    assert str(indices) in str(error.value)
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_touched():
    model = tiny()
    before = copy.deepcopy(model)
    recipe = Recipe(steps=2, batch_size=4, warmup=0)
    model.action_out_proj.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(FloatingPointError, match="gradient's norm is .* in step 0") as error:
        fit(model, Chunks(), recipe=recipe, progress=False)
    assert str(recipe.indices(0, 37).tolist()) in str(error.value)
    assert same(model, before) and all(p.grad is None for p in model.parameters())


def test_weights_in_half_precision_are_refused():
    with pytest.raises(ValueError, match="is torch.bfloat16: small steps.*dtype=torch.float32"):
        fit(tiny().to(torch.bfloat16), Chunks(), steps=1, progress=False)


def test_fine_tuning_starts_from_the_saved_weights(tmp_path):
    model = tiny()
    losses = fit(model, Chunks(), recipe=Recipe(steps=60, batch_size=16, warmup=0), progress=False)
    model.save_pretrained(tmp_path)
    further = fit(
        Pi0.from_pretrained(tmp_path, dtype=torch.float32),
        Chunks(),
        recipe=Recipe(steps=10, batch_size=16),
        progress=False,
    )
    assert sum(further) < 0.8 * sum(losses[:10])


def test_bad_input_is_traced_to_its_chunks():
    class Broken(Chunks):
        def batch(self, indices):
            observation, actions, mask = super().batch(indices)
            observation.state[1] = math.nan
            return observation, actions, mask

    with pytest.raises(ValueError, match="state holds a NaN") as error:
        fit(tiny(), Broken(), recipe=Recipe(steps=1, batch_size=4), progress=False)
    assert str(Recipe(batch_size=4).indices(0, 37).tolist()) in error.value.__notes__[0]


def test_a_state_of_another_run_is_refused(tmp_path):
    recipe = Recipe(steps=2, batch_size=4, warmup=0)
    fit(tiny(), Chunks(), recipe=recipe, out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="batch_size: 4 then, 5 now"):
        fit(
            tiny(),
            Chunks(),
            recipe=Recipe(steps=2, batch_size=5, warmup=0),
            out=tmp_path,
            resume=True,
            progress=False,
        )
    wider = Pi0(Pi0Config(**{**vars(TINY), "action_dim": 5}))
    with pytest.raises(ValueError, match="another model: .*action"):
        fit(wider, Chunks(), recipe=recipe, out=tmp_path, resume=True, progress=False)
    other = Chunks()
    other.state = other.state + 0.01
    with pytest.raises(ValueError, match="trained on other data: the first batch's state differ"):
        fit(tiny(), other, recipe=recipe, out=tmp_path, resume=True, progress=False)
    other = Chunks()
    other.images = other.images.repeat(1, 2, 1, 1, 1)  # another camera: no parameter's shape tells
    with pytest.raises(ValueError, match="trained on other data: the first batch's images differ"):
        fit(tiny(), other, recipe=recipe, out=tmp_path, resume=True, progress=False)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        fit(tiny(), Chunks(), recipe=recipe, out=tmp_path / "empty", resume=True, progress=False)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):  # before the first step
        fit(tiny(), Chunks(fail_at=1), recipe=recipe, out=tmp_path / "file", progress=False)
    with pytest.raises(ValueError, match="save_every must be at least 1"):
        fit(tiny(), Chunks(), recipe=recipe, out=tmp_path / "new", save_every=0, progress=False)
    with pytest.raises(ValueError, match="holds a run: resume=True goes on"):
        fit(tiny(), Chunks(), recipe=recipe, out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="resume=True needs out="):
        fit(tiny(), Chunks(), recipe=recipe, resume=True, progress=False)
    tiny().save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="holds a model, which would be written over"):
        fit(tiny(), Chunks(), recipe=recipe, out=tmp_path / "model", progress=False)


def test_a_failed_write_leaves_the_last_state(tmp_path, monkeypatch):
    recipe = Recipe(steps=4, batch_size=4, warmup=0)
    fit(tiny(), Chunks(), recipe=recipe, out=tmp_path, progress=False)
    before = (tmp_path / run.STATE).read_bytes()

    def full_disk(path, tensors, metadata):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(run, "write_tensors", full_disk)
    with pytest.raises(OSError, match="no space"):
        longer = replace(recipe, steps=6)
        fit(tiny(), Chunks(), recipe=longer, out=tmp_path, resume=True, progress=False)
    assert (tmp_path / run.STATE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == WRITTEN


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"warmup": -1},
        {"ema": 1.0},
        {"clip": 0},
        {"learning_rate": -1e-3},
        {"learning_rate": math.nan},
        {"final_learning_rate": math.inf},
    ],
)
def test_impossible_recipes(values):
    with pytest.raises(ValueError):
        Recipe(**values)


def test_bf16_trains_close_to_float32():
    recipe = Recipe(steps=5, batch_size=8, warmup=0)
    exact, rough = (
        fit(tiny(), Chunks(), recipe=recipe, bf16=bf16, progress=False) for bf16 in (False, True)
    )
    assert exact != rough
    assert exact == pytest.approx(rough, rel=0.05)


def test_compiling_is_asked_for_once_and_leaves_the_model_eager(monkeypatch):
    eager, asked = fit(tiny(), Chunks(), steps=5, progress=False), []

    def fake(function, **options):  # what it would compile, run as it is
        asked.append((function.__name__, options["options"]["freezing"]))
        return function

    monkeypatch.setattr(torch, "compile", fake)
    model = tiny()
    assert fit(model, Chunks(), steps=5, compile=True, progress=False) == eager
    assert asked == [("loss", False)] and not {"encode", "decode", "loss"} & model.__dict__.keys()


def test_command_line_trains_saves_and_resumes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        train.evaluate, "spread", lambda dataset, n: torch.tensor([0, 50])
    )  # scoring 256 items takes its time
    arguments = (
        "--data metaworld-two-ways --steps 3 --batch-size 2 --save-every 2 --device cpu".split()
    )
    train.main([*arguments, "--out", str(tmp_path)])
    assert "energy score of 10 steps on 16 held-out episodes" in capsys.readouterr().out
    model = Pi0.from_pretrained(tmp_path)
    assert model.config.action_dim == 4 and model.stats["action_mean"].shape == (4,)

    first = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with pytest.raises(SystemExit):
        train.main([*arguments, "--out", str(tmp_path)])
    assert "holds a run already: --resume" in capsys.readouterr().err
    tiny().save_pretrained(tmp_path / "model")
    with pytest.raises(SystemExit):
        train.main([*arguments, "--out", str(tmp_path / "model")])
    assert "holds a model already" in capsys.readouterr().err
    train.main([*arguments, "--out", str(tmp_path), "--resume"])
    assert all(
        torch.equal(parameter, first[name])
        for name, parameter in Pi0.from_pretrained(tmp_path).named_parameters()
    )
    assert "--resume and --steps above 3" in capsys.readouterr().out
    for changed, said in (
        (["--seed", "1"], "another recipe"),
        (["--horizon", "8"], "other data: the first batch's actions differ"),
    ):
        with pytest.raises(SystemExit):
            train.main([*arguments, "--out", str(tmp_path), "--resume", *changed])
        assert said in capsys.readouterr().err


def test_command_line_starts_from_a_checkpoint(tmp_path, capsys):
    torch.manual_seed(3)
    model = Pi0(Pi0Config.mini(4, 4, horizon=6))
    model.save_pretrained(tmp_path / "start")
    arguments = (
        "--data metaworld-two-ways --steps 1 --batch-size 2 --device cpu --test-every 0".split()
    )
    arguments += ["--start", str(tmp_path / "start"), "--learning-rate", "1e-9"]
    train.main([*arguments, "--out", str(tmp_path / "out")])
    assert "energy score" not in capsys.readouterr().out  # nothing was held out
    trained = Pi0.from_pretrained(tmp_path / "out")
    assert trained.config == model.config
    torch.testing.assert_close(trained.state_dict(), model.state_dict(), rtol=0, atol=1e-7)
    train.main([*arguments, "--out", str(tmp_path / "other"), "--horizon", "16"])
    longer = Pi0.from_pretrained(tmp_path / "other")  # no weight depends on the horizon
    assert longer.config == replace(model.config, horizon=16)
    torch.testing.assert_close(longer.state_dict(), model.state_dict(), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--horizon", "horizon must be a positive integer, not 0"),
        ("--lora", "a rank of at least 1, not 0"),
        ("--grad-accumulation", "cannot be cut into 0 parts"),
        ("--learning-rate", "learning rates must be finite and"),
    ],
)
def test_command_line_takes_a_zero_for_what_it_is(tmp_path, option, said, capsys):
    """0 is no number to leave out: with it, all of the model would have been trained."""
    line = f"--data metaworld-two-ways --steps 1 --device cpu --out {tmp_path} {option} 0"
    with pytest.raises(SystemExit):
        train.main(line.split())
    assert re.search(said, capsys.readouterr().err)


def test_command_line_without_cameras(tmp_path, monkeypatch):
    monkeypatch.setattr(train.evaluate, "spread", lambda dataset, n: torch.tensor([0]))
    arguments = "--data metaworld-two-ways --steps 1 --batch-size 2 --device cpu --cameras".split()
    train.main([*arguments, "--out", str(tmp_path)])
    assert Pi0.from_pretrained(tmp_path)


def test_a_fine_tuned_model_keeps_the_statistics_of_its_new_data(tmp_path):
    model, dataset = tiny(), Chunks()
    model.stats = {"state_mean": torch.zeros(2)}
    dataset.stats = {
        f"{what}_{name}": torch.full((dims,), value)
        for what, dims in (("state", 2), ("action", 3))
        for name, value in (("mean", 0.5), ("std", 2.0))
    }
    fit(model, dataset, steps=1, progress=False)
    model.save_pretrained(tmp_path)
    assert torch.equal(Pi0.from_pretrained(tmp_path).stats["action_mean"], torch.full((3,), 0.5))


# ---------------------------------------------------------------- parts, masks, pictures


def test_a_batch_in_parts_gives_the_numbers_of_the_whole():
    """Parts hold different numbers of real steps, so a mean of means would be another number."""
    recipe = Recipe(steps=4, batch_size=7, warmup=0)
    for kind in (tiny, lambda: Regression(TINY)):
        torch.manual_seed(1)
        whole = kind()
        parts = copy.deepcopy(whole)
        losses = fit(whole, Chunks(), recipe=recipe, progress=False)
        again = fit(parts, Chunks(), recipe=recipe, grad_accumulation=3, progress=False)
        assert again == pytest.approx(losses, rel=1e-6)
        one, other = (model.action_out_proj.weight for model in (whole, parts))
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5)


def test_a_part_that_is_all_padding_counts_nothing():
    class Padded(Chunks):
        def batch(self, indices):
            observation, actions, mask = super().batch(indices)
            return observation, actions, mask & (torch.arange(len(mask)) > 1)[:, None]

    recipe = Recipe(steps=2, batch_size=6, warmup=0)
    training = dict(dataset=Padded(), recipe=recipe, progress=False)
    whole = fit(tiny(), **training)
    assert fit(tiny(), grad_accumulation=3, **training) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("parts", [0, -1, 9])
def test_impossible_parts(parts):
    recipe = Recipe(steps=1, batch_size=8)
    with pytest.raises(ValueError, match=f"cannot be cut into {parts} parts"):
        fit(tiny(), Chunks(), recipe=recipe, grad_accumulation=parts, progress=False)


def test_who_draws_its_own_noise_is_not_cut_in_parts():
    class Own(torch.nn.Linear):
        def loss(self, observation, actions, action_mask=None, generator=None):
            return self.weight.sum()

    with pytest.raises(ValueError, match="a Own draws its own noise: train it in one part"):
        fit(Own(1, 1), Chunks(), steps=1, grad_accumulation=2, progress=False)


class Padded(Chunks):
    """The same data for a model with two more action dims and one more state dim."""

    def batch(self, indices):
        observation, actions, mask = super().batch(indices)
        pad = torch.nn.functional.pad
        observation = replace(observation, state=pad(observation.state, (0, 1)))
        return observation, pad(actions, (0, 2)), mask[..., None] & (torch.arange(5) < 3)


def test_padded_dims_do_not_dilute_the_loss():
    wide = replace(TINY, action_dim=5, state_dim=3)
    torch.manual_seed(0)
    model = Pi0(wide)
    observation, actions, mask = Padded().batch(range(8))
    noise, tau = torch.randn(8, 4, 5), torch.full((8,), 0.5)
    given = dict(noise=noise, tau=tau)
    every = model.loss(observation, actions, action_mask=mask, reduction="none", **given)
    assert not every[..., 3:].any()
    mean = model.loss(observation, actions, action_mask=mask, **given)
    torch.testing.assert_close(mean, every.sum() / mask.sum())
    fit(model, Padded(), steps=2, progress=False)


def test_augmented_pictures_train_and_resume_bit_for_bit(tmp_path):
    recipe = Recipe(steps=4, batch_size=8, warmup=0)
    plain = fit(tiny(), Chunks(), recipe=recipe, progress=False)
    options = dict(recipe=recipe, augment=True, progress=False)
    whole = tiny()
    losses = fit(whole, Chunks(), **options)
    assert losses[0] != plain[0] and losses[0] == pytest.approx(plain[0], rel=0.3)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), Chunks(fail_at=4), out=tmp_path, save_every=2, **options)
    resumed = tiny()
    assert fit(resumed, Chunks(), out=tmp_path, resume=True, **options) == losses
    assert same(whole, resumed)
    parts = fit(tiny(), Chunks(), grad_accumulation=2, **options)
    assert parts == pytest.approx(losses, rel=1e-6)


# ---------------------------------------------------------------- other data than before


class Told(Chunks):
    """A data set that says what it is."""

    def __init__(self, **said):
        super().__init__()
        self.said = dict(cameras=["top"], fps=10.0, tokenizer="bytes", horizon=4) | said

    def about(self):
        return self.said


def test_other_data_than_the_models_are_named():
    model = tiny()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, Told(), steps=1, progress=False)
        fit(model, Told(cameras=["observation.images.top"]), steps=1, progress=False)
    message = r"other data: cameras: .*top.* then, \['wrist'\] now; fps: 10.0 then, 30.0 now"
    with pytest.warns(UserWarning, match=message):
        fit(model, Told(cameras=["wrist"], fps=30.0), steps=1, progress=False)
    assert model.about["fps"] == 30.0
    with pytest.raises(ValueError, match="other tokens .* bytes then, google/paligemma.* now"):
        fit(model, Told(tokenizer="google/paligemma-3b-pt-224"), steps=1, progress=False)


def test_a_run_is_resumed_with_its_own_data(tmp_path):
    recipe = Recipe(steps=2, batch_size=4, warmup=0)
    fit(tiny(), Told(), recipe=recipe, out=tmp_path, progress=False)
    for said, message in (
        (dict(fps=30.0), "fps: 10.0 then, 30.0 now"),
        (dict(cameras=["wrist"]), r"cameras: \['top'\] then, \['wrist'\] now"),
        (dict(relative_actions=[True, False, False]), "relative_actions: None then"),
    ):
        with pytest.raises(ValueError, match=f"was trained on other data: {message}"):
            fit(tiny(), Told(**said), recipe=recipe, out=tmp_path, resume=True, progress=False)


# ---------------------------------------------------------------- the README


def test_the_readmes_training_commands_are_ones():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    lines = [
        line for line in text.splitlines() if line.startswith(".venv/bin/python -m minipi0.train")
    ]
    assert len(lines) == 2
    for line in lines:
        args = train.command.options().parse_args(line.split("minipi0.train ")[1].split())
        assert args.data == ["your-name/your-dataset"] and args.out == "runs/mine"
