"""The robot to play with.

Its traits, its page without a kernel and with one, recorded episodes, and all of it in JupyterLab.
"""

import base64
import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from browser import blank_page, needs_chromium, run_all
from fake_robot import scenes
from PIL import Image
from test_widgets_lab import lab  # noqa: F401 (a fixture)
from traitlets import TraitError

from minipi0.robot.watch import Settings, watch
from minipi0.widgets import RobotPlayer, recordings, robot_player_fallback


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two recorded episodes."""
    folder = tmp_path_factory.mktemp("recorded")
    for words in ("go ahead", "go ahead slowly"):
        moments = watch(scenes(), Settings("a dot", words, "flow", seed=3))
        recordings.save(folder / words.replace(" ", "_"), words, moments)
    return recordings.load(folder)


@pytest.fixture
def player(recorded):
    player = RobotPlayer(scenes(), recorded, speed=100.0)
    player.heard, player.news = [], threading.Condition()

    def send(content, buffers=None):
        with player.news:
            player.heard.append((content, buffers))
            player.news.notify_all()

    player.send = send
    yield player
    player.close()


def until(player, condition):
    with player.news:
        assert player.news.wait_for(condition, 60)


# ---- the Python side -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scene": "the moon"}, "scene is one of .*a dot"),
        ({"policy": "wish"}, "policy is one of .*flow"),
        ({"steps": 3}, "steps"),
        ({"execute": 0}, "execute"),
        ({"seed": -1}, "seed"),
        ({"instruction": "  "}, "1 to 200 printable"),
        ({"instruction": "x" * 201}, "1 to 200 printable"),
        ({"speed": 0.0}, "speed"),
    ],
)
def test_wrong_traits_are_refused_with_a_reason(change, message):
    with pytest.raises(TraitError, match=message):
        RobotPlayer(scenes(), [], **change)


def test_without_a_scene_there_is_nothing_to_play():
    with pytest.raises(ValueError, match="no scene"):
        RobotPlayer({})


def test_an_episode_is_played_from_python_and_listed(player):
    assert (player.scene, player.instruction, player.policy) == ("a dot", "go ahead", "flow")
    player.seed, player.steps = 3, 1
    player.playing = True
    until(player, lambda: player.heard and player.heard[-1][0].get("frame") == 7)  # the last one
    (result,) = player.results
    assert result | {"side": 1} == result and result["success"] and not result["touched"]
    assert (result["seed"], result["steps"], result["actions"]) == (3, 1, 7)
    frames = [content["frame"] for content, _ in player.heard if content["kind"] == "moment"]
    assert frames[-8:] == list(range(8)) and not any(frames[:-8])  # settings may show the start
    content, (jpeg,) = player.heard[-1]
    assert Image.open(io.BytesIO(jpeg)).size == (320, 320)
    assert content["line"] == "Success after 0.7 s. It passed the wall on the right."
    assert np.shape(content["fan"]) == (16, 17, 2) and np.shape(content["chosen"]) == (6, 2)


def test_another_scene_brings_its_own_words_and_policy(player, monkeypatch):
    player.policy = "broken"
    heard, change = [], player._live.change
    monkeypatch.setattr(player._live, "change", lambda found: (heard.append(found), change(found)))
    player.scene = "another dot"
    assert (player.instruction, player.policy, player.execute) == ("go on", "flow", 3)
    told = {(one.scene, one.instruction, one.policy, one.execute) for one in heard}
    assert told == {("another dot", "go on", "flow", 3)}  # never words of one, policy of the other
    player.scene, player.execute = "a dot", 7
    assert (player.instruction, player.execute) == ("go ahead", 7)
    player.scene = "another dot"
    player.instruction = "  go   home\n"
    assert player.instruction == "go home"


def test_a_page_that_opens_gets_the_last_moment_and_an_error_is_shown(player):
    player._asked("hello")
    until(player, lambda: len(player.heard) == 2)
    assert [content["kind"] for content, _ in player.heard] == ["here", "moment"]
    player._asked("step")
    until(player, lambda: len(player.heard) == 3)
    player._asked("hello")
    assert player.heard[-1][0]["frame"] == 1
    player.policy = "broken"
    player.playing = True
    _wait(lambda: player.trouble)
    assert player.trouble == "ValueError: the weights are of another robot"
    player.policy = "flow"
    assert player.trouble == ""


def test_the_plain_fallback_shows_the_same_and_obeys():
    box = robot_player_fallback(scenes(), seed=3, speed=100.0)
    image, side = box.children
    *controls, buttons, line = side.children
    try:
        _wait(lambda: line.value == "0.0 s of at most 1.2 s.")
        assert Image.open(io.BytesIO(image.value)).size == (320, 320)
        buttons.children[1].click()
        _wait(lambda: line.value.startswith("0.1 s"))
        controls[1].value = "broken"
        buttons.children[0].value = True
        _wait(lambda: line.value == "ValueError: the weights are of another robot")
        _wait(lambda: buttons.children[0].value is False)
    finally:
        box.live.close()


def _wait(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- recorded episodes ---------------------------------------------------------------------------
def test_recordings_keep_what_was_seen(recorded):
    first, second = recorded
    moments = watch(scenes(), Settings("a dot", "go ahead", "flow", seed=3))
    assert (first.title, first.frames, first.line) == ("go ahead", 8, moments[-1].line)
    pictures = first.pictures()
    assert pictures.shape == (8, 320, 320, 3)
    for seen, moment in zip(pictures, moments, strict=True):
        assert np.abs(seen.astype(int) - moment.picture).mean() < 6
    assert [fan["frame"] for fan in first.fans] == [0, 6]
    np.testing.assert_allclose(first.fans[0]["chosen"], 1000 * moments[0].chosen, atol=0.51)
    assert second.frames == 13


def test_the_carried_recordings_are_small_and_whole():
    carried = recordings.load()
    if not carried:
        pytest.skip("no recording is carried yet")
    files = list(recordings.FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= 300_000
    for one in carried:
        pictures = one.pictures()
        assert pictures.shape == (one.frames, 320, 320, 3) and pictures.std() > 20
        assert one.fans and one.line.split()[0] in ("Success", "No")


# ---- in the browser ------------------------------------------------------------------------------
MODEL_JS = """window.mount = async (esm, css, state, videos) => {
  // a model with a kernel, if one is made to answer
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  state.recorded.forEach((one, i) => { one.video = bytes(videos[i]); });
  const heard = {};
  const fire = (event, ...args) => { for (const f of [...(heard[event] || [])]) f(...args); };
  window.sent = [];
  window.model = {
    get: (name) => state[name], save_changes() {}, send: (content) => sent.push(content),
    set(name, value) {
      if (state[name] !== value) { state[name] = value; fire("change:" + name); fire("change"); }
    },
    on(event, f) { (heard[event] ||= []).push(f); },
    off(event, f) { heard[event] = heard[event].filter((g) => g !== f); },
    listeners: () => Object.values(heard).flat().length };
  window.kernel = (content, jpeg) => fire("msg:custom", content, jpeg ? [bytes(jpeg)] : []);
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const module = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
  window.root = document.body.appendChild(document.createElement("div"));
  window.cleanUp = module.default.render({ model, el: root });
};
window.picture = () => root.querySelector("canvas").toDataURL();
window.line = () => root.querySelector(".m0-line").textContent;"""


def mount(page, player):
    skip = ("layout", "tabbable", "tooltip")
    names = [name for name in player.keys if not name.startswith("_") and name not in skip]
    state = {name: getattr(player, name) for name in names}
    videos = [base64.b64encode(one["video"]).decode() for one in state["recorded"]]
    state["recorded"] = [one | {"video": ""} for one in state["recorded"]]
    page.add_script_tag(content=MODEL_JS)
    page.evaluate("args => mount(...args)", [player._esm, str(player._css), state, videos])
    page.wait_for_function("root.querySelector('canvas').width > 300")


@needs_chromium
def test_without_a_kernel_recorded_episodes_are_played(player):
    with blank_page() as page:
        mount(page, player)
        button = lambda name: page.get_by_role("button", name=name)  # noqa: E731
        page.get_by_text("these episodes were recorded").wait_for()
        assert not page.get_by_label("Euler steps").is_visible()
        page.wait_for_function("line() === '0.0 s'")
        before = page.evaluate("picture()")
        button("Play").click()
        page.wait_for_function("line().startsWith('Success after 0.7 s.')")
        page.wait_for_function("before => picture() !== before", arg=before)
        button("Play").wait_for()  # it stopped at the end
        button("Restart").click()
        page.wait_for_function("line() === '0.0 s'")
        button("Step").click()
        page.wait_for_function("line() === '0.1 s'")
        page.locator("canvas").press("ArrowRight")
        page.wait_for_function("line() === '0.2 s'")
        page.locator("canvas").press("n")
        assert page.get_by_label("recorded episode").input_value() == "1"
        page.locator("canvas").press("Space")
        page.wait_for_function("line().startsWith('No success within 1.2 s.')")
        page.locator("canvas").press("r")
        page.get_by_label("recorded episode").select_option("0")
        page.wait_for_function("line() === '0.0 s'")
        page.evaluate("cleanUp()")
        assert page.evaluate("[model.listeners(), root.childNodes.length]") == [0, 0]
        assert page.errors == []


@needs_chromium
def test_with_a_kernel_its_pictures_are_shown_and_the_controls_tell_it(player):
    moments = watch(scenes(), Settings("a dot", "go ahead", "flow", seed=3))

    def send(page, moment):
        player._stream(moment)
        content, (jpeg,) = player.heard[-1]
        page.evaluate("args => kernel(...args)", [content, base64.b64encode(jpeg).decode()])

    with blank_page() as page:
        mount(page, player)
        assert page.evaluate("sent") == [{"kind": "hello"}]
        page.evaluate("kernel({kind: 'here'})")
        page.get_by_text("The robot gets ready").wait_for()
        for moment in moments[:3]:
            before = page.evaluate("picture()")
            send(page, moment)
            page.wait_for_function("text => line() === text", arg=moment.line)
            page.wait_for_function("before => picture() !== before", arg=before)

        get = lambda name: page.evaluate(f"model.get('{name}')")  # noqa: E731
        field = lambda name: page.get_by_label(name, exact=True)  # noqa: E731
        field("Euler steps").select_option("1")
        field("policy").select_option("broken")
        field("instruction").select_option("go ahead slowly")
        field("executed actions k").press("ArrowRight")
        field("start (a seed)").fill("7")
        field("start (a seed)").press("Enter")
        field("speed").select_option("0.5")
        field("fan of chunks").press("Space")
        chosen = ("steps", "policy", "instruction", "execute", "seed", "speed", "fan")
        wanted = [1, "broken", "go ahead slowly", 6, 7, 0.5, False]
        assert [get(name) for name in chosen] == wanted
        assert not field("in your own words").is_visible()
        field("instruction").select_option("your own words …")
        field("in your own words").fill("dance")
        field("in your own words").press("Enter")
        assert get("instruction") == "dance"

        page.locator("canvas").press("Space")
        assert get("playing") is True
        page.get_by_role("button", name="Pause").wait_for()
        page.locator("canvas").press("ArrowRight")
        page.locator("canvas").press("r")
        page.locator("canvas").press("n")
        assert page.evaluate("sent.slice(1)") == [{"kind": "step"}, {"kind": "restart"}]
        assert get("seed") == 8
        page.evaluate("model.set('trouble', 'ValueError: the weights are of another robot')")
        page.wait_for_function("line().startsWith('ValueError')")
        assert field("policy").is_visible()  # the reader can choose another one
        assert page.errors == []


@needs_chromium
def test_where_nothing_can_be_rendered_it_says_so_and_plays_what_was_recorded(player):
    with blank_page() as page:
        mount(page, player)
        page.evaluate("kernel({kind: 'here'})")
        page.evaluate("model.set('trouble', 'RuntimeError: no OpenGL to render with')")
        page.wait_for_function("line() === 'RuntimeError: no OpenGL to render with'")
        page.evaluate("""() => {  // it is over soon: every name that the button had
            const all = [...root.querySelectorAll('button')];
            const button = all.find((b) => b.textContent === 'Play');
            window.named = [];
            const watch = new MutationObserver(() => named.push(button.textContent));
            watch.observe(button, { childList: true, characterData: true, subtree: true });
        }""")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("root.querySelector('canvas').width > 300 && line() !== ''")
        page.wait_for_function("named.includes('Pause')")
        assert page.get_by_label("recorded episode").is_visible() and page.errors == []


@needs_chromium
def test_it_fits_a_narrow_page(player):
    with blank_page() as page:
        page.set_viewport_size({"width": 400, "height": 1000})
        mount(page, player)
        page.evaluate("kernel({kind: 'here'})")
        page.get_by_label("Euler steps").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


# ---- in JupyterLab -------------------------------------------------------------------------------
@needs_chromium
def test_in_jupyterlab_the_kernel_streams_an_episode_to_the_page(lab):  # noqa: F811
    tests = str(Path(__file__).parent)
    cells = [
        f"import sys\nsys.path.insert(0, {tests!r})\nfrom fake_robot import scenes\n"
        "from minipi0.widgets import RobotPlayer\n"
        "player = RobotPlayer(scenes(), [], seed=3, instruction='go ahead slowly')\nplayer",
    ]
    with blank_page() as page:
        run_all(page, lab, cells)
        line = page.locator(".m0-line")
        line.filter(has_text="0.0 s of at most 1.2 s").wait_for()
        page.get_by_role("button", name="Play", exact=True).click()
        line.filter(has_text="No success within 1.2 s").wait_for()
        ours = [error for error in page.errors if "favicon" not in error]
        assert ours == []
