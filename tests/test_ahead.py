"""Control while the next chunk is computed: the same actions, no waiting, and faults are told."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from test_policy import ABOUT, model, observation

from minipi0.robot import policy as module
from minipi0.robot.ahead import Ahead
from minipi0.robot.policy import Policy

PATIENCE = 60  # seconds, for what should happen at once


class Slow:
    """A policy whose chunks are ready when the test says so; actions tell when they were asked for.

    Action i of the chunk that was asked for at step s is (s, s + i).
    """

    def __init__(self, execute=4, delay=2, horizon=10):
        self.execute, self.delay, self.horizon = execute, delay, horizon
        self.may, self.began, self.seeds = threading.Semaphore(0), threading.Semaphore(0), []

    def reset(self, seed=None):
        self.seeds.append(seed)

    def think(self, observation):
        self.began.release()
        assert self.may.acquire(timeout=PATIENCE)
        if observation["step"] == "bad":
            raise ValueError("the picture holds NaN")
        step, i = observation["step"], np.arange(self.horizon)
        return np.stack([np.full(self.horizon, step), step + i], axis=1).astype(np.float32)


def drive(ahead, steps, before=lambda step: None):
    asked, done = [], []
    for step in range(steps):
        before(step)
        if ahead.needs_observation:
            asked.append(step)
        done.append(ahead.act({"step": step} if ahead.needs_observation else None))
    return asked, done


@pytest.mark.parametrize(("execute", "delay"), [(4, 0), (4, 3), (1, 1), (5, 5), (3, 1), (2, 2)])
def test_every_action_is_executed_at_the_step_it_is_meant_for(execute, delay):
    policy = Slow(execute, delay)
    policy.may.release(100)
    with Ahead(policy) as ahead:
        asked, done = drive(ahead, 20)
        assert [meant for _, meant in done] == list(range(20))
        assert asked == list(range(0, 20, execute))


def test_the_robot_moves_while_the_model_thinks():
    policy = Slow()

    def let_it_finish(step):
        if step in (0, 6):  # the first chunk; and the second, exactly when its turn comes
            policy.may.release()

    with Ahead(policy) as ahead:
        asked, done = drive(ahead, 6, let_it_finish)
        assert asked == [0, 4] and policy.began.acquire(timeout=PATIENCE)
        assert [of for of, _ in done] == [0] * 6, "two steps were executed during the thought"
        policy.may.release()
        ahead._chunk.result(PATIENCE)
        assert ahead.act().tolist() == [4, 6] and ahead.late == 0


def test_a_chunk_that_is_early_waits_for_its_turn():
    policy = Slow()
    policy.may.release(100)
    with Ahead(policy) as ahead:
        _, done = drive(ahead, 14, lambda step: ahead._chunk and ahead._chunk.result(PATIENCE))
    assert [of for of, _ in done] == [0] * 6 + [4] * 4 + [8] * 4


def test_a_late_chunk_is_waited_for_and_counted():
    policy = Slow()
    policy.may.release()
    with Ahead(policy) as ahead:
        drive(ahead, 6)
        chunk = ahead._chunk

        def result():  # it is ready only when somebody waits for it
            policy.may.release()
            return chunk.result(PATIENCE)

        ahead._chunk = SimpleNamespace(done=chunk.done, result=result)
        assert ahead.act().tolist() == [4, 6] and ahead.late == 1
        ahead.reset(5)
        assert ahead.late == 0 and policy.seeds == [5]


def test_or_the_robot_holds_still_until_it_is_there():
    policy = Slow()
    with Ahead(policy, wait=False) as ahead:
        assert ahead.act({"step": 0}) is None and not ahead.needs_observation
        policy.may.release()
        ahead._chunk.result(PATIENCE)
        _, done = drive(ahead, 6)
        assert [of for of, _ in done] == [0] * 6
        assert ahead.act() is None and ahead.act() is None and ahead.late == 2
        policy.may.release()
        ahead._chunk.result(PATIENCE)
        assert ahead.act().tolist() == [4, 6], "two actions were executed since; then it held still"


def test_a_fault_is_raised_when_its_chunk_is_due_and_is_not_fatal():
    policy = Slow()
    policy.may.release(100)
    with Ahead(policy) as ahead:
        drive(ahead, 4)
        ahead.act({"step": "bad"})
        ahead.act()
        with pytest.raises(ValueError, match="the picture holds NaN"):
            ahead.act()
        assert ahead.needs_observation
        with pytest.raises(ValueError, match="give an observation"):
            ahead.act()
        assert ahead.act({"step": 9}).tolist() == [9, 9], "nothing was executed since: from the top"


def test_a_new_episode_forgets_what_was_being_computed():
    policy = Slow()
    policy.may.release()
    with Ahead(policy) as ahead:
        drive(ahead, 5)
        threading.Timer(0.1, policy.may.release).start()
        ahead.reset()
        policy.may.release()
        assert ahead.act({"step": 100}).tolist() == [100, 100]


@pytest.mark.parametrize("options", [{}, {"real_time": True}, {"execute": 1, "delay": 1}])
@pytest.mark.parametrize("about", [ABOUT, ABOUT | {"relative_actions": [True, False]}])
def test_it_does_what_the_policy_with_the_same_delay_does(options, about):
    options = dict(execute=2, delay=2, seed=3) | options
    plain, own = (Policy(model(), about=about, **options) for _ in range(2))
    rng = np.random.default_rng(0)
    seen = [observation(state=rng.normal(size=3)) for _ in range(12)]
    with Ahead(own) as ahead:
        for seed in (3, 8):
            plain.reset(seed)
            ahead.reset(seed)
            for one in seen:
                assert plain.needs_observation == ahead.needs_observation
                np.testing.assert_array_equal(ahead.act(one), plain.act(one))


def test_relative_actions_are_continued_from_where_the_robot_is_now(monkeypatch):
    """The rest of the last chunk, said anew, means the same places."""
    told = []
    real = module.continue_chunk

    def keep(model, seen, noise, left, *rest):
        told.append(left)
        return real(model, seen, noise, left, *rest)

    monkeypatch.setattr(module, "continue_chunk", keep)
    about = ABOUT | {"relative_actions": [False, True]}
    policy = Policy(model(), execute=1, delay=1, real_time=True, about=about)
    first = policy.think(observation(state=[1.0, 20.0, 3.0]))
    policy.think(observation(state=[1.0, -4.0, 3.0]))
    meant = policy._to_robot(told[0], policy.last_seen)[0]
    np.testing.assert_allclose(meant, first[1:], atol=1e-4)
