"""The next batch is made while the step runs, in order, and a failure comes when its step does."""

import threading

import pytest
from synthetic import Chunks, tiny

from minipi0.train import fit
from minipi0.train.feed import ahead

PATIENCE = 60  # seconds, for what should happen at once


def test_the_next_one_is_made_while_this_one_is_used():
    begun = [threading.Event() for _ in range(4)]

    def make(step):
        begun[step].set()
        return 10 * step

    seen = []
    for step, made in ahead(make, range(1, 4)):
        seen.append((step, made))
        if step < 3:
            assert begun[step + 1].wait(PATIENCE)  # nobody asked for it yet
    assert seen == [(1, 10), (2, 20), (3, 30)] and not begun[0].is_set()
    assert list(ahead(make, range(2, 2))) == []


def test_waiting_for_data_and_computing_overlap():
    both = threading.Barrier(2, timeout=PATIENCE)  # one after the other never meet there
    for step, _ in ahead(lambda step: step and both.wait(), range(10)):
        if step < 9:
            both.wait()


def test_a_failure_comes_after_all_steps_before_it(tmp_path):
    done = []
    with pytest.raises(KeyboardInterrupt):
        for step, _ in ahead(lambda step: step if step < 3 else _stop(), range(6)):
            done.append(step)
    assert done == [0, 1, 2]
    whole = fit(tiny(), Chunks(), steps=6, progress=False)
    model = tiny()
    with pytest.raises(KeyboardInterrupt):  # a call for the sample, then one a step
        fit(model, Chunks(fail_at=5), steps=6, progress=False, out=tmp_path, save_every=2)
    again = fit(tiny(), Chunks(), steps=6, progress=False, out=tmp_path, resume=True)
    assert again == whole


def _stop():
    raise KeyboardInterrupt
