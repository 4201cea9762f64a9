"""The arm in the reader's hands: keys become actions, successes become episodes of a data set."""

import queue

import gymnasium
import numpy as np
import pytest
from browser import MODEL_JS, blank_page, needs_chromium
from fake_robot import Dot

from minipi0 import data
from minipi0.data.writer import write
from minipi0.robot.teleoperate import SPEED, Teleoperation, action_of
from minipi0.widgets import Teleoperator

PATIENCE = 60  # seconds, for what should happen at once


class Lane(Dot):
    """The dot, with what a teleoperator needs to know of it. Ahead of it lies success."""

    cameras = ("front", "hand")

    @property
    def unwrapped(self):
        return self


@pytest.fixture
def arm():
    said = queue.Queue()
    made = Teleoperation(Lane, lambda picture, line: said.put((picture, line)), size=32)
    made.said = lambda: said.get(timeout=PATIENCE)
    yield made
    made.close()


def test_keys_are_velocities():
    assert action_of([], closed=False).tolist() == [0, 0, 0, -1]
    np.testing.assert_allclose(action_of(["ArrowUp"], closed=True), [0, SPEED, 0, 1])
    np.testing.assert_allclose(np.linalg.norm(action_of(["w", "ArrowLeft"], False)[:3]), SPEED)
    np.testing.assert_allclose(action_of(["w", "s", "F5"], False)[:3], 0)


def test_a_success_is_kept_and_becomes_a_data_set(arm, tmp_path):
    arm.begin()
    picture, line = arm.said()
    assert picture.shape == (32, 32, 3) and line == '"go": the arm is yours.'
    arm.press(["ArrowUp"])
    while "Success" not in line:
        _, line = arm.said()
    arm.press([])
    assert line == "Success after 0.9 s. Demonstrations: 1."
    (episode,) = arm.episodes
    np.testing.assert_allclose(episode.actions[:, 1], SPEED)
    np.testing.assert_allclose(np.diff(episode.states[:, 1]), 0.08 * SPEED, atol=1e-6)
    folder = write(tmp_path / "mine", arm.episodes, 10, list("xyzg"), list("abcd"))
    assert len(data.load(folder, horizon=4, split="all", test_every=None)) == 9


def test_time_stands_still_without_a_key_and_a_tap_is_one_frame(arm):
    arm.begin()
    arm.said()
    for _ in range(2):
        with arm._wake:  # pressed and let go before the arm looks
            arm.press(["ArrowUp"])
            arm.press([])
        assert arm.said()[1].endswith("of at most 1.2 s.")
    with pytest.raises(queue.Empty):
        arm_said = arm.said.__closure__[0].cell_contents
        arm_said.get(timeout=0.3)
    assert len(arm._actions) == 2


def test_the_gripper_turns_once_a_press_and_failures_are_not_kept(arm):
    arm.begin()
    arm.said()
    arm.press(["ArrowDown", " "])
    line = ""
    while "No success" not in line:
        _, line = arm.said()
    assert arm.episodes == [] and {action[3] for action in arm._actions} == {1.0}
    arm.press([])
    arm.press([" "])
    arm.begin()
    assert arm.said()[1].endswith("yours.") and not arm._closed, "a new scene begins open"


def test_what_goes_wrong_is_told():
    said = queue.Queue()

    def broken():
        raise RuntimeError("no OpenGL to render with")

    arm = Teleoperation(broken, lambda picture, line: said.put((picture, line)))
    arm.begin()
    assert said.get(timeout=PATIENCE) == (None, "RuntimeError: no OpenGL to render with")
    arm.close()


def test_keys_press_the_button_of_the_simulator():
    made, said = [], queue.Queue()

    def make():
        made.append(gymnasium.make("minipi0/button-press-v0", pictures=False))
        return made[-1]

    arm = Teleoperation(make, lambda picture, line: said.put(line))
    arm.begin()
    line = said.get(timeout=2 * PATIENCE)
    if "no OpenGL" in line:
        pytest.skip(line)
    world = made[0].unwrapped
    while "uccess" not in line:
        hand, button = world.seen[:3], world.seen[4:7]
        aside = button[0] - hand[0]
        keys = ["ArrowRight" if aside > 0 else "ArrowLeft"] if abs(aside) > 0.02 else []
        arm.press((keys + ["s"] if hand[2] > 0.09 else keys) or ["ArrowUp"])
        line = said.get(timeout=2 * PATIENCE)
    arm.press([])
    arm.close()
    (episode,) = arm.episodes
    assert episode.task == "push the red button in" and 5 < len(episode.actions) < 40
    assert episode.videos["observation.images.hand"].shape == (len(episode.actions), 64, 64, 3)


def test_the_widget_takes_the_pages_messages_and_no_others():
    widget = Teleoperator(Lane, size=32)
    pressed = []
    widget.arm.press = pressed.append
    widget._asked({"kind": "keys", "keys": ["w", "Delete", " "]})
    widget._asked({"kind": "else"})
    assert pressed == [{"w", " "}] and widget.episodes == []
    assert "run the notebook" in repr(widget)
    widget.close()


@needs_chromium
def test_keys_and_buttons_of_the_page():
    widget = Teleoperator(Lane)
    with blank_page() as page:
        page.add_script_tag(content=MODEL_JS)
        script = """async ([esm, state]) => {
          const blob = new Blob([esm], {type: "text/javascript"});
          const module = await import(URL.createObjectURL(blob));
          window.sent = [];
          window.model = {...makeModel(state), send: (message) => sent.push(message)};
          window.root = document.body.appendChild(document.createElement("div"));
          module.default.render({ model, el: root });
        }"""
        page.evaluate(script, [widget._esm, {"buttons": widget.buttons, "line": "ready"}])
        page.get_by_text("ready").wait_for()
        page.get_by_role("button", name="New scene").click()
        page.keyboard.down("ArrowUp")
        page.keyboard.down("w")
        page.keyboard.up("ArrowUp")
        page.keyboard.up("w")
        page.get_by_role("button", name="S down").click()
        page.wait_for_function("sent.length === 7")
        keys = [message.get("keys") for message in page.evaluate("sent")]
        assert keys == [None, ["ArrowUp"], ["ArrowUp", "w"], ["w"], [], ["s"], []]
        assert page.errors == []
    widget.close()
