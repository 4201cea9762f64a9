"""Trials: exactly repeatable, none lost, the same side by side as one by one."""

import importlib.util
import json
from dataclasses import replace

import av
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from synthetic import TINY

from minipi0 import Pi0
from minipi0.robot import trials
from minipi0.robot.policy import Policy
from minipi0.robot.rollout import Trial, contact_sheet, rollout, write_video
from minipi0.robot.trials import Setting, run

CONFIG = replace(TINY, vocab_size=260, state_dim=2, action_dim=2)
STATS = {"state_mean": torch.zeros(2), "state_std": torch.ones(2)}
STATS |= {"action_mean": torch.zeros(2), "action_std": torch.full((2,), 0.5)}
ABOUT = {"cameras": ["front"], "prompt_length": 16}


class Point(gymnasium.Env):
    """A point that has to leave a circle within 12 steps; counts how often it was looked at."""

    def __init__(self, image_size=8, pictures=True, radius=0.8):
        self.image_size, self.pictures, self.radius, self.prompt = (
            image_size,
            pictures,
            radius,
            "go",
        )
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.looks = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.frame = self.np_random.uniform(-0.3, 0.3, 2), 0
        return self._seen(self.pictures), self._info()

    def step(self, action):
        assert (np.abs(action) <= 1).all()
        self.place, self.frame = self.place + 0.3 * action, self.frame + 1
        info = self._info()
        return self._seen(self.pictures), 0.0, info["success"], self.frame >= 12, info

    def observe(self):
        return self._seen(True)

    def render(self, camera="front", size=8):
        picture = np.zeros((size, size, 3), np.uint8)
        column, row = ((np.clip(self.place, -1, 1) + 1) / 2 * (size - 1)).astype(int)
        picture[row, column] = 255
        return picture

    def _seen(self, pictures):
        self.looks += pictures
        seen = {"state": self.place.astype(np.float32), "prompt": self.prompt}
        return seen | ({"front": self.render()} if pictures else {})

    def _info(self):
        return {"success": bool(np.linalg.norm(self.place) > self.radius)}


class Anywhere(Setting):
    """A setting whose scenes need no registration, so that a fresh process finds them."""

    def make(self, task, image_size):
        return Point(image_size, pictures=False, **self.environment)


def model() -> Pi0:
    torch.manual_seed(0)
    return Pi0(CONFIG).eval()


def policy(**options) -> Policy:
    return Policy(model(), STATS, about=ABOUT, **options)


@pytest.fixture
def setting(tmp_path, monkeypatch):
    model().save_pretrained(tmp_path / "model", stats=STATS, about=ABOUT)
    monkeypatch.setattr(trials, "tasks", lambda: ["Point", "OtherPoint"])
    return Anywhere(str(tmp_path / "model"), execute=2)


# ---- one trial ---------------------------------------------------------------------------------


def test_a_seed_fixes_the_scene_and_the_noise():
    options = dict(task="Point", record=True)
    first = rollout(Point(), policy(), 5, **options)
    used = policy()
    rollout(env := Point(), used, 6)
    again = rollout(env, used, 5, **options)
    assert again == first
    np.testing.assert_array_equal(again.recording.actions, first.recording.actions)
    other = rollout(Point(), policy(), 7, **options)
    assert not np.array_equal(other.recording.states[0], first.recording.states[0])


def test_it_renders_only_when_the_policy_looks():
    lazy, eager = Point(pictures=False), Point()
    one = rollout(lazy, policy(execute=3), 1, record=True)
    other = rollout(eager, policy(execute=3), 1, record=True)
    np.testing.assert_array_equal(one.recording.actions, other.recording.actions)
    assert one.recording.asked == list(range(0, one.frames, 3))
    assert lazy.looks == len(one.recording.asked) and eager.looks == one.frames + 1


def test_other_words_change_what_the_policy_hears_and_not_what_counts():
    class Listener:
        needs_observation = True

        def reset(self, seed):
            self.heard = set()

        def act(self, seen):
            self.heard.add(seen["prompt"])
            return np.array([2.0, 0.0])  # clipped to the action space: the environment checks

    listener = Listener()
    trial = rollout(Point(), listener, 0, prompt="stay", task="Point")
    assert listener.heard == {"stay"}
    assert trial.success and trial.frames < 12 and (trial.touched, trial.side) == (False, 0)


def test_a_recording_holds_what_happened():
    trial = rollout(Point(), policy(), 1, picture=lambda env: env.render(size=16))
    kept = trial.recording
    assert kept.pictures.shape == (trial.frames + 1, 16, 16, 3)
    assert kept.states.shape == kept.actions.shape == (trial.frames, 2)
    moved = np.diff(kept.states, axis=0)
    np.testing.assert_allclose(moved, 0.3 * kept.actions[:-1], atol=1e-6)
    assert "recording" not in trial.outcome() and Trial(**trial.outcome()) == trial


def test_films_and_sheets(tmp_path):
    pictures = np.zeros((20, 32, 32, 3), np.uint8)
    pictures[10:] = 200
    write_video(pictures, tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 20
    assert frames[0].mean() < 20 and frames[-1].mean() > 180
    sheet = np.asarray(contact_sheet(pictures, 4))
    assert sheet.shape == (32, 128, 3) and sheet[0, 0, 0] == 0 and sheet[0, -1, 0] == 200
    assert contact_sheet(pictures[:2]).size == (64, 32)


# ---- many --------------------------------------------------------------------------------------


def test_the_file_holds_every_trial_and_what_it_depends_on(tmp_path, setting):
    out = tmp_path / "results" / "a.json"
    found = run(setting, ["point", "other-point"], 5, seed=2, out=out, progress=False)
    assert [(t.task, t.seed) for t in found[4:6]] == [("Point", 200004), ("OtherPoint", 200000)]
    content = json.loads(out.read_text())
    assert content["options"]["execute"] == 2 and content["options"]["seed"] == 2
    assert content["summary"]["all"]["trials"] == 10
    assert content["summary"]["Point"]["successes"] == sum(t.success for t in found[:5])
    assert trials.read(out) == sorted(found, key=lambda trial: (trial.task, trial.seed))
    assert "Point" in (said := trials.table(found)) and "OtherPoint" in said and "all" in said


def test_a_trial_does_not_depend_on_the_others(setting):
    together = run(setting, ["Point"], 4, progress=False)
    env, alone = Point(pictures=False), setting.policy()
    assert rollout(env, alone, 3, task="Point") == together[3]


def test_a_stopped_command_loses_no_finished_trial(tmp_path, setting, monkeypatch):
    expected = run(setting, ["Point"], 6, progress=False)
    out, real, ran = tmp_path / "a.json", trials.rollout, []

    def until_the_third(env, policy, seed, **options):
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append(seed)
        return real(env, policy, seed, **options)

    monkeypatch.setattr(trials, "rollout", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(setting, ["Point"], 6, out=out, progress=False)
    assert len(trials.read(out)) == 3
    ran.clear()
    assert run(setting, ["Point"], 6, out=out, progress=False) == expected
    assert ran == [3, 4, 5]
    ran.clear()
    assert run(setting, ["Point"], 4, out=out, progress=False) == expected[:4] and ran == []
    assert len(trials.read(out)) == 6, "what was there stays there"


def test_results_of_other_options_are_refused_by_name(tmp_path, setting):
    out = tmp_path / "a.json"
    run(setting, ["Point"], 1, out=out, progress=False)
    for changed, said in (
        (replace(setting, steps=1), "steps: 10 there, 1 now"),
        (replace(setting, prompt="stay"), "prompt: None there, stay now"),
        (replace(setting, environment={"radius": 2}), "environment"),
    ):
        with pytest.raises(ValueError, match=f"other options: .*{said}"):
            run(changed, ["Point"], 1, out=out, progress=False)
    with pytest.raises(ValueError, match="seed: 0 there, 1 now"):
        run(setting, ["Point"], 1, seed=1, out=out, progress=False)
    changed = model()
    with torch.no_grad():
        changed.state_proj.bias += 1
    changed.save_pretrained(setting.checkpoint, stats=STATS, about=ABOUT)
    with pytest.raises(ValueError, match="weights: "):
        run(setting, ["Point"], 1, out=out, progress=False)


def test_a_file_that_holds_no_results_is_left_alone(tmp_path, setting):
    out = tmp_path / "notes.json"
    out.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="holds no results of this command"):
        run(setting, ["Point"], 1, out=out, progress=False)
    assert out.read_text() == '{"a": 1}'


def test_an_unknown_task_is_named(setting):
    with pytest.raises(ValueError, match="no task 'pint'; there are Point, OtherPoint"):
        run(setting, ["pint"], 1, progress=False)


def test_two_workers_do_what_one_does(tmp_path, setting):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    run(setting, ["Point"], 6, out=one, progress=False)
    run(setting, ["Point"], 6, out=two, workers=2, sheets=tmp_path / "sheets", progress=False)
    assert one.read_text() == two.read_text()
    assert len(list((tmp_path / "sheets").iterdir())) == 6


def test_the_command_line(tmp_path, setting, monkeypatch, capsys):
    monkeypatch.setattr(trials, "Setting", Anywhere)
    other = model()
    with torch.no_grad():
        other.action_out_proj.weight.mul_(0.1)
    other.save_pretrained(tmp_path / "other", stats=STATS, about=ABOUT)
    out, words = tmp_path / "a.json", ["--checkpoint", setting.checkpoint, "--tasks", "point"]
    words += ["--trials", "3", "--execute", "2", "--out", str(out), "--set", "radius=0.6"]
    trials.main([*words, "--baseline-checkpoint", str(tmp_path / "other")])
    assert len(trials.read(out)) == len(trials.read(tmp_path / "a.baseline.json")) == 3
    said = capsys.readouterr().out
    assert "95 % Wilson" in said and "difference on the same 3 scenes" in said
    with pytest.raises(SystemExit):
        trials.main([*words, "--steps", "1"])
    assert "other options: steps: 10 there, 1 now" in capsys.readouterr().err


def test_the_wall_in_the_simulator_gives_the_same_trial_again(tmp_path):
    """A trial does not depend on what the environment did before."""
    if importlib.util.find_spec("metaworld") is None:  # importing it would choose the renderer
        pytest.skip("Meta-World is not installed")
    config = replace(CONFIG, state_dim=4, action_dim=4)
    stats = {name: torch.cat([values, values]) for name, values in STATS.items()}
    about = ABOUT | {"cameras": ["front", "hand"]}
    torch.manual_seed(0)
    acting = Policy(Pi0(config), stats, about=about)
    env = gymnasium.make("minipi0/Wall-v0", pictures=False, image_size=8, max_steps=12)
    try:
        env.reset(seed=0)
        env.unwrapped.observe()
    except RuntimeError as error:
        pytest.skip(str(error))
    first = rollout(env, acting, 3, record=True)
    rollout(env, acting, 4)
    again = rollout(env, acting, 3, record=True)
    assert again == first
    np.testing.assert_array_equal(again.recording.states, first.recording.states)
    env.close()
