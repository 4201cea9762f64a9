"""Episodes as a reader watches them.

The fan, the words for what happened, and the thread that plays them.
"""

import threading
import time
from importlib.util import find_spec

import numpy as np
import pytest
from fake_robot import scenes

from minipi0.robot.live import Live
from minipi0.robot.watch import Settings, hand_path, watch

SETTINGS = Settings("a dot", "go ahead", "flow", seed=3, samples=7)


def test_a_chunk_becomes_the_path_of_the_hand():
    chunk = np.zeros((2, 3, 4))
    chunk[0, :, 0], chunk[1, :, 1] = 0.5, 7  # seven times the greatest speed counts as one
    path = hand_path(np.array([1.0, 2.0, 3.0]), chunk)
    np.testing.assert_allclose(path[0], [[1 + 0.04 * t, 2, 3] for t in range(4)])
    np.testing.assert_allclose(path[1], [[1, 2 + 0.08 * t, 3] for t in range(4)])


def test_an_episode_shows_pictures_fans_and_what_happened():
    moments = watch(scenes(), SETTINGS, size=96)
    assert [moment.frame for moment in moments] == list(range(8))  # 0.064 m a step, 0.4 m to go
    assert all(moment.picture.shape == (96, 96, 3) for moment in moments)
    assert moments[0].fan.shape == (7, 17, 2) and moments[0].chosen.shape == (6, 2)
    assert moments[5].chosen is moments[0].chosen is not moments[6].chosen  # five of a chunk
    np.testing.assert_allclose(moments[0].chosen[0], [0.46, 0.9], atol=1e-6)  # the hand's place
    assert moments[0].line == "0.0 s of at most 1.2 s."
    assert moments[-1].line == "Success after 0.7 s. It passed the wall on the right."


def test_the_same_settings_give_the_same_episode_and_the_words_reach_the_policy():
    first, second = watch(scenes(), SETTINGS), watch(scenes(), SETTINGS)
    assert all((a.picture == b.picture).all() for a, b in zip(first, second, strict=True))
    slow = watch(scenes(), Settings("a dot", "go ahead slowly", "flow", seed=3))
    assert slow[-1].line == "No success within 1.2 s. It passed the wall on the right."


class Watcher:
    """Collects what a Live says, and waits for it."""

    def __init__(self, settings=SETTINGS):
        self.moments, self.failed, self.stops, self.news = [], [], 0, threading.Condition()
        self.live = Live(scenes(), settings, self.show, self.fail, self.stop, size=32)

    def show(self, moment):
        self.note(lambda: self.moments.append(moment))

    def fail(self, sentence):
        self.note(lambda: self.failed.append(sentence))

    def stop(self):
        self.note(lambda: setattr(self, "stops", self.stops + 1))

    def note(self, what):
        with self.news:
            what()
            self.news.notify_all()

    def until(self, condition):
        with self.news:
            assert self.news.wait_for(condition, 60)

    def frames(self):
        return [moment.frame for moment in self.moments]


@pytest.fixture
def watcher():
    watcher = Watcher(Settings("a dot", "go ahead", "flow", seed=3, speed=100))
    yield watcher
    watcher.live.close()


def test_it_plays_to_the_end_stops_and_begins_anew(watcher):
    watcher.live.play()
    watcher.until(lambda: watcher.stops == 1)
    assert watcher.frames() == list(range(8)) and watcher.moments[-1].over
    watcher.live.play()
    watcher.until(lambda: watcher.stops == 2)
    assert watcher.frames() == 2 * list(range(8))


def test_single_steps_and_a_restart(watcher):
    for _ in range(3):
        watcher.live.step()
    watcher.until(lambda: watcher.frames() == [0, 1, 2, 3])
    watcher.live.restart()
    watcher.until(lambda: watcher.frames() == [0, 1, 2, 3, 0])
    assert watcher.stops == 0


def test_other_words_begin_anew_other_steps_hold_from_the_next_chunk(watcher):
    live, told = watcher.live, watcher.live._runner.scenes["a dot"].policies["flow"].told
    live.step()
    watcher.until(lambda: watcher.frames() == [0, 1])
    live.change(Settings("a dot", "go ahead", "flow", seed=3, steps=1, execute=2))
    for _ in range(6):
        live.step()
    watcher.until(lambda: watcher.frames() == list(range(8)))
    assert told == [("go ahead", 10), ("go ahead", 1)]
    live.change(Settings("a dot", "go ahead slowly", "flow", seed=3))
    watcher.until(lambda: watcher.frames()[-1] == 0)
    live.step()
    watcher.until(lambda: watcher.frames()[-1] == 1)
    assert told[-1] == ("go ahead slowly", 10)


def test_at_the_start_every_choice_shows_its_fan_at_once(watcher):
    live, told = watcher.live, watcher.live._runner.scenes["a dot"].policies["flow"].told
    live.restart()
    watcher.until(lambda: watcher.frames() == [0])
    live.change(Settings("a dot", "go ahead", "flow", seed=3, steps=1, execute=2))
    watcher.until(lambda: watcher.frames() == [0, 0])
    assert told == [("go ahead", 10), ("go ahead", 1)]
    assert [len(moment.chosen) for moment in watcher.moments] == [6, 3]


def test_a_pause_holds_the_episode_where_it_is():
    watcher = Watcher(Settings("a dot", "go ahead slowly", "flow", speed=100))
    show = watcher.show

    def pause_at_the_third(moment):
        if moment.frame == 2:
            watcher.live.pause()
        show(moment)

    watcher.live._show = pause_at_the_third
    watcher.live.play()
    watcher.until(lambda: len(watcher.moments) >= 3)
    time.sleep(0.3)  # 30 moments' time
    assert watcher.frames() == [0, 1, 2]
    watcher.live.play()
    watcher.until(lambda: watcher.stops == 1)
    assert watcher.frames() == list(range(13))
    watcher.live.close()


def test_only_one_plays_at_a_time(watcher):
    other = Watcher(Settings("a dot", "go ahead slowly", "flow", speed=0.1))
    other.live.play()
    other.until(lambda: other.moments)
    watcher.live.play()
    watcher.until(lambda: watcher.stops == 1)
    assert other.stops == 1 and not other.live._play
    other.live.close()


def test_an_error_is_told_and_the_next_choice_works():
    watcher = Watcher(Settings("a dot", "go ahead", "broken", speed=100))
    watcher.live.play()
    watcher.until(lambda: watcher.stops == 1)
    assert watcher.failed == ["ValueError: the weights are of another robot"]
    watcher.live.change(Settings("another dot", "go on", "flow", speed=100))
    watcher.live.play()
    watcher.until(lambda: watcher.stops == 2)
    assert watcher.moments[-1].over and len(watcher.failed) == 1
    watcher.live.close()


def test_closing_ends_the_thread_and_the_environment(watcher):
    watcher.live.step()
    watcher.until(lambda: watcher.frames() == [0, 1])
    env, thread = watcher.live._runner.env, watcher.live._thread
    watcher.live.close()
    assert env.closed and not thread.is_alive()


@pytest.mark.skipif(find_spec("metaworld") is None, reason="the simulator is not installed")
def test_the_real_robot_is_watched_too():
    import gymnasium

    import minipi0.robot  # noqa: F401
    from minipi0.robot.watch import Runner, Scene

    words = "carry the puck past the wall"

    class Straight:
        """Ahead, into the wall."""

        def another(self):
            return self

        def reset(self, seed):
            self.calls = 0

        def chunk(self, observation, samples=1):
            return np.tile(np.float32([0, 0.4, 0, 1]), (samples, 16, 1))

    def make():
        return gymnasium.make("minipi0/Wall-v0", pictures=False)

    runner = Runner({"the wall": Scene(make, [words], {"straight": Straight()})}, size=320)
    settings = Settings("the wall", words, "straight", seed=1)
    try:
        moments = [runner.begin(settings)]
    except RuntimeError as error:
        pytest.skip(f"no OpenGL here: {error}")
    while not (moments[-1].over or moments[-1].info["touched"]):
        moments.append(runner.advance(settings))
    assert moments[-1].info["touched"] and "touched the wall" in moments[-1].line
    first = moments[1]
    assert first.picture.shape == (320, 320, 3) and first.picture.std() > 20
    assert ((first.fan > 0) & (first.fan < 1)).all()  # all of it is in the picture
    hand = runner.env.projection()(runner.env.observe(pictures=False)["state"][:3])
    assert np.linalg.norm(hand - first.fan[0, moments[-1].frame]) < 0.1  # it went where was drawn
    runner.close()
