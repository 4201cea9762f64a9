"""The tasks on the table, told apart by words where the scene is one.

Skipped without Meta-World.
"""

import importlib.util

import gymnasium
import numpy as np
import pytest

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0.robot.demonstrate import Disturbance, demonstrate
from minipi0.robot.policy import Policy
from minipi0.robot.recipes import CARRIED
from minipi0.robot.rollout import rollout
from minipi0.robot.tasks import PAIRS, TASKS, YOURS, Tabletop

CALM = Disturbance(noise=0.0, often=0.0)


@pytest.fixture(scope="module")
def robot():
    """The environment of a task, made once."""
    if not importlib.util.find_spec("metaworld"):
        pytest.skip("Meta-World is not installed")
    made = {}

    def get(task: str) -> Tabletop:
        if task not in made:
            made[task] = gymnasium.make(f"minipi0/{task}-v0", pictures=False)
        return made[task].unwrapped

    yield get
    for env in made.values():
        env.close()


def test_there_are_nine_tasks_and_three_pairs():
    assert len(TASKS) == 9 and len(PAIRS) == 3
    assert {task for pair in PAIRS for task in pair} <= set(TASKS)


def test_every_instruction_names_one_task():
    said = [text for task in TASKS.values() for text in (*task.prompts, *task.paraphrases)]
    assert len(said) == len(set(said)) == 5 * len(TASKS)


def test_an_unknown_task_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown task 'faucet'.*faucet-open"):
        Tabletop("faucet")


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_does_every_task_and_the_seed_fixes_the_episode(robot, task):
    env = robot(task)
    first, other = (demonstrate(env, seed, CALM, pictures=False) for seed in (0, 1))
    again = demonstrate(env, 0, CALM, pictures=False)
    assert first.good and other.good
    assert np.array_equal(first.states, again.states)
    assert np.array_equal(first.actions, again.actions)
    assert len(first.actions) > 2, "the task was done before it began"
    assert not np.array_equal(first.actions, other.actions)
    assert env.prompt in TASKS[task].prompts


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].split("-")[0])
def test_a_pair_is_one_scene(robot, pair):
    seen = []
    for task in pair:
        _, info = robot(task).reset(seed=3)
        assert not info["success"]
        seen.append(robot(task).world.data)
    one, two = seen
    assert np.array_equal(one.qpos, two.qpos) and np.array_equal(one.qvel, two.qvel)
    assert np.array_equal(one.xpos, two.xpos), "things stand elsewhere"


def test_a_pair_is_one_picture(robot):
    try:
        pictures = [
            [robot(task).reset(seed=3) and robot(task).render(camera) for task in pair]
            for pair in PAIRS
            for camera in ("front", "hand")
        ]
    except RuntimeError as error:
        if "no OpenGL" not in str(error):
            raise
        pytest.skip(str(error))
    for one, two in pictures:
        assert np.array_equal(one, two)


@pytest.mark.parametrize("pair", [*PAIRS, *(pair[::-1] for pair in PAIRS)], ids=str)
def test_who_does_the_other_task_of_a_pair_fails(robot, pair):
    """So success in a pair says that the words were followed."""
    asked, done = robot(pair[0]), robot(pair[1])
    actions = demonstrate(done, 5, CALM, pictures=False).actions
    asked.reset(seed=5)
    assert not any(asked.step(action)[2] for action in actions)


def test_the_carried_policy_does_what_the_words_say(robot):
    """In each pair the scene is one; said the other task's words, it does the other task."""
    policy = Policy.from_pretrained(CARRIED / "tasks", execute=2)
    followed = ignored = 0
    for pair in PAIRS:
        for task, other in (pair, pair[::-1]):
            try:
                followed += rollout(robot(task), policy, 0).success
            except RuntimeError as error:
                if "no OpenGL" not in str(error):
                    raise
                pytest.skip(str(error))
            ignored += rollout(robot(task), policy, 0, prompt=TASKS[other].prompts[0]).success
    assert followed >= 5 and ignored <= 1, "of 6"


def test_the_readers_task_is_none_of_the_nine_and_its_expert_presses_the_button():
    assert YOURS.name not in TASKS and not set(YOURS.prompts) & {
        said for task in TASKS.values() for said in task.prompts
    }
    env = gymnasium.make(f"minipi0/{YOURS.name}-v0", pictures=False, max_steps=40)
    shown = [demonstrate(env, seed, Disturbance(0.1, 0.5, 0.04), False) for seed in range(5)]
    assert sum(one.good for one in shown) >= 4
    assert env.unwrapped.prompt in YOURS.prompts
