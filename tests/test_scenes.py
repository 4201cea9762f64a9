"""The scenes to watch: the wall and the nine tasks, with the policies that the package carries."""

import importlib.util

import pytest

from minipi0.robot.scenes import table
from minipi0.robot.tasks import PAIRS, TASKS
from minipi0.robot.watch import Settings, watch


@pytest.fixture(scope="module")
def scenes():
    return table()


def test_every_task_is_a_scene_and_a_pair_offers_both_instructions(scenes):
    assert list(scenes) == list(TASKS)
    paired = {name for pair in PAIRS for name in pair}
    assert all(len(scene.instructions) == 1 + (n in paired) for n, scene in scenes.items())
    assert scenes["drawer-close"].instructions == ["close the drawer", "open the drawer"]
    assert all(scene.instructions[0] == TASKS[n].prompts[0] for n, scene in scenes.items())
    assert all(list(scene.policies) == ["flow matching", "regression"] for scene in scenes.values())
    assert len({id(policy) for scene in scenes.values() for policy in scene.policies.values()}) == 2


@pytest.mark.skipif(not importlib.util.find_spec("metaworld"), reason="Meta-World is not installed")
def test_the_drawer_is_closed_when_told_and_not_when_told_to_open_it(scenes):
    task = scenes["drawer-close"]
    done = []
    for words in task.instructions:
        chosen = Settings("drawer-close", words, "flow matching", execute=task.execute, samples=4)
        try:
            moments = watch(scenes, chosen, size=64)
        except RuntimeError as error:
            if "no OpenGL" not in str(error):
                raise
            pytest.skip(str(error))
        done.append(moments[-1].info["success"])
        assert moments[0].fan.shape == (4, 11, 2) and moments[0].chosen.shape == (3, 2)
    assert done == [True, False]
