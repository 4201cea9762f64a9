"""The widgets in JupyterLab: a slider moves the picture and Python's trait."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from browser import blank_page, needs_chromium, run_all


@pytest.fixture
def lab(tmp_path):
    """A JupyterLab of our own on a free port, with empty settings; its address.

    Ended by its process id.
    """
    folders = {
        f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    folders |= {
        f"JUPYTERLAB_{name}_DIR": str(tmp_path / name) for name in ("SETTINGS", "WORKSPACES")
    }
    folders["IPYTHONDIR"] = str(tmp_path / "ipython")
    (tmp_path / "root").mkdir()
    with open(tmp_path / "server.log", "wb") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ip=127.0.0.1",
                "--port=0",  # any free one: it writes down which
                "--IdentityProvider.token=",
                "--ServerApp.password=",
                f"--ServerApp.root_dir={tmp_path / 'root'}",
                "--LabApp.news_url=None",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                "--LabApp.extension_manager=readonly",
                "--LabApp.expose_app_in_browser=True",
            ],
            cwd=tmp_path,
            env=os.environ | folders,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        open_url = urllib.request.build_opener(
            urllib.request.ProxyHandler({})
        ).open  # no proxy for our own machine
        deadline = time.monotonic() + 240
        while True:
            try:
                (written,) = (tmp_path / "RUNTIME").glob("jpserver-*.json")
                port = json.loads(written.read_text())["port"]
                open_url(f"http://127.0.0.1:{port}/api/status", timeout=60).close()
                break
            except (OSError, ValueError):  # not there, not whole, or not yet listening
                assert server.poll() is None and time.monotonic() < deadline, (
                    tmp_path / "server.log"
                ).read_text()[-2000:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", tmp_path / "root"
    finally:
        server.send_signal(signal.SIGTERM)  # it ends its kernels first
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


@needs_chromium
def test_in_jupyterlab_a_slider_moves_the_picture_and_the_trait(lab):
    cells = [
        "import ipywidgets\nfrom minipi0.widgets import FlowField, StraightLine\nline = "
        "StraightLine(tau=0.5)\nline",
        "field = FlowField()\nlabel = ipywidgets.Label('untouched')\n"
        "def follow(change):\n    label.value = f'Python knows {change.new:.2f}'\n    field.tau "
        "= change.new\n"
        "line.observe(follow, 'tau')\nipywidgets.VBox([label, field])",
        "from minipi0 import toys\nFlowField(network=toys.ring().velocity, tau=0.5)",
    ]
    with blank_page() as page:
        run_all(page, lab, cells)
        page.wait_for_function("document.querySelectorAll('.m0 canvas').length === 3")
        page.get_by_text("untouched", exact=True).wait_for()
        page.locator(".m0 td + td").first.filter(has_text="(").wait_for()  # drawn

        first = "document.querySelector('.m0 canvas').toDataURL()"
        slider = page.locator(".m0 input[type=range]").first
        assert (slider.input_value(), slider.get_attribute("aria-label")) == (
            "0.5",
            "τ (0 noise, 1 action)",
        )
        before = page.evaluate(first)
        for _ in range(3):
            slider.press("ArrowRight")  # JupyterLab must leave the key to the slider
        assert slider.input_value() == "0.53"
        page.wait_for_function(f"before => {first} !== before", arg=before)
        page.get_by_text("Python knows 0.53").wait_for()  # browser -> Python
        page.wait_for_function(
            "document.querySelectorAll('.m0')[1].querySelector('input').value === '0.53'"
        )  # Python -> browser

        before = page.evaluate(first)
        page.locator(".m0-handle").first.press("ArrowUp")
        page.wait_for_function(f"before => {first} !== before", arg=before)

        third = "document.querySelectorAll('.m0 canvas')[2].toDataURL()"
        before = page.evaluate(third)  # a network is shown, and the next target has none
        page.locator(".m0").nth(2).get_by_label("target", exact=True).select_option("two_moons")
        page.wait_for_function(f"before => {third} !== before", arg=before)

        page.evaluate("""() => { // every tau that is shown while it plays
            window.shown = [];
            const field = document.querySelectorAll('.m0')[1], tau = field.querySelector('output');
            const watch = new MutationObserver(() => shown.push(Number(tau.textContent)));
            watch.observe(tau, { childList: true });
            const buttons = [...field.querySelectorAll('button')];
            buttons.find((b) => b.textContent === 'Play').focus();
        }""")
        page.keyboard.press("Space")
        page.wait_for_function("shown.at(-1) === 1")
        shown = page.evaluate("shown")
        assert len(shown) > 3 and shown == sorted(
            shown
        )  # what the kernel echoes must not throw it back

        before = page.evaluate(first)
        page.evaluate(
            "jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
        )
        page.wait_for_function(
            f"before => {first} !== before", arg=before
        )  # the axes follow the theme
        ours = [e for e in page.errors if "favicon" not in e]
        assert ours == []


@needs_chromium
def test_in_jupyterlab_a_policy_is_chosen_again_and_again(lab):
    with blank_page() as page:
        run_all(page, lab, ["from minipi0.widgets import Scribble\nScribble()"])
        picture = "document.querySelector('.m0 canvas').toDataURL()"
        policy = page.get_by_label("policy", exact=True)
        page.locator(".m0 td + td").first.filter(has_text="of 30").wait_for()  # drawn
        for name in ("regression", "flow") * 3:
            before = page.evaluate(picture)
            policy.select_option(name)
            page.wait_for_function(f"before => {picture} !== before", arg=before)
            page.wait_for_timeout(500)  # what the kernel echoes must not choose for the reader
            assert policy.input_value() == name
        assert page.locator(".m0 input[type=range]").first.input_value() == "1"  # tau


@needs_chromium
def test_in_jupyterlab_an_answer_is_covered_until_there_is_a_guess(lab):
    guess = "from minipi0.widgets import Guess\nGuess('How many are zero?', unit='numbers')"
    other = "from minipi0.widgets import Guess\nGuess('Which?', ['left', 'right'])"
    with blank_page() as page:
        fault = "raise RuntimeError('no such file')"
        right = "print('the right one')"
        run_all(page, lab, [guess, "print('17 of 42')", guess, other, right, guess, fault])
        page.get_by_text("no such file").last.wait_for()  # a fault is never covered
        answer = page.locator(".jp-OutputArea-output").filter(has_text="17 of 42")
        answer.wait_for(state="attached")
        page.locator(".m0-guess").nth(3).wait_for()  # a guess after a guess is no answer
        assert not answer.is_visible()
        skip = page.get_by_text("Show the answer without a guess")
        assert [one.is_visible() for one in skip.all()] == [True, False, True, True]
        skip.first.click()
        answer.wait_for()
        right = page.locator(".jp-OutputArea-output").filter(has_text="the right one")
        assert not right.is_visible()
        page.get_by_label("left").check()
        right.wait_for()
        right.click()
        page.evaluate("jupyterapp.commands.execute('notebook:hide-cell-outputs')")
        page.wait_for_selector(".jp-OutputPlaceholder")  # no line of a folded answer is shown
        style = "e => [getComputedStyle(e).fontSize, getComputedStyle(e, '::before').content]"
        size, told = page.locator(".jp-OutputPlaceholder .jp-PlaceholderText").evaluate(style)
        assert size == "0px" and "is folded: click here" in told
