"""The widgets: their traits, their mathematics in JavaScript against the Python one, and both in a
real browser.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402
import nbformat  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from nbclient import NotebookClient  # noqa: E402
from nbconvert import HTMLExporter  # noqa: E402
from scipy.integrate import solve_ivp  # noqa: E402
from traitlets import TraitError  # noqa: E402

from minipi0 import flow, toys  # noqa: E402
from minipi0.plots import flow_field as twins  # noqa: E402
from minipi0.widgets import EulerSteps, FlowField, StraightLine, fallback, targets  # noqa: E402
from minipi0.widgets.base import browser_code  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no Chromium found (looked for {', '.join(NAMES)})"
)
LIMIT = 60_000  # ms: machines under test are busy


# ---- the Python side -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StraightLine(tau=1.5), r"tau must lie in \[0, 1\]"),
        (lambda: StraightLine(tau="half"), "tau.*float"),
        (lambda: StraightLine(noise=[1, 2, 3]), "noise must be two numbers"),
        (lambda: StraightLine(action=(9, 0)), "action is .*outside the picture"),
        (lambda: StraightLine(action=(float("nan"), 0)), "outside the picture"),
        (lambda: FlowField(target="square"), "target.*two_moons"),
        (lambda: FlowField(euler_steps=0), "euler_steps"),
        (lambda: FlowField(euler_steps=51), "euler_steps"),
        (lambda: FlowField(show="all"), "conditional"),
        (lambda: FlowField(field="network"), r"no network.*set_network"),
        (lambda: FlowField(dots=[(0, 0), (0, 7)]), r"dots\[1\] is .*outside"),
        (lambda: FlowField(dots=3), "dots must be a list of points"),
        (lambda: FlowField(dots=[(0, 0)] * 101), "at most 100"),
        (lambda: EulerSteps(steps=0), "steps"),
        (lambda: EulerSteps(target="dots"), "target"),
    ],
)
def test_wrong_traits_are_refused_with_a_reason(make, message):
    with pytest.raises(TraitError, match=message):
        make()


def test_traits_take_tensors_and_stay_readable():
    w = StraightLine(noise=torch.tensor([1.0, -2.0]), tau=torch.tensor(0.25))
    assert (w.noise, w.tau) == ((1.0, -2.0), 0.25)
    w.action = np.array([0.5, 0.5])
    assert w.action == (0.5, 0.5)
    assert StraightLine().noise != w.noise  # nothing shared between widgets
    assert "0x" not in repr(w) and not FlowField().playing


def test_the_browser_gets_the_mixtures_of_toys():
    w = FlowField("two_moons")
    sent = w.targets["two_moons"]
    rebuilt = toys.GaussianMixture(sent["means"], sent["std"], sent["weights"])
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rebuilt.velocity(x, 0.6), toys.two_moons().velocity(x, 0.6))
    assert torch.equal(w.mixture.means, toys.two_moons().means)
    w.target, w.dots = "dots", [(1, 0), (-1, 0.5)]
    assert w.mixture.means.tolist() == [[1, 0], [-1, 0.5]]
    w.dots = []
    with pytest.raises(ValueError, match="no dots"):
        w.mixture  # noqa: B018


def test_a_network_is_sampled_on_the_grid_as_bytes():
    def velocity(x, tau):
        assert tau.ndim == 0 and tau.dtype == torch.float64 and x.dtype == torch.float32
        return torch.stack([x[:, 0] * tau, x[:, 1] - tau], 1)

    w = FlowField(network=velocity)
    assert w.field == "network"
    table = np.frombuffer(w.network, np.float32).reshape(
        targets.GRID["taus"], targets.GRID["side"], targets.GRID["side"], 2
    )
    line, taus = np.linspace(-4, 4, targets.GRID["side"]), np.linspace(0, 1, targets.GRID["taus"])
    t, y, x = np.meshgrid(taus, line, line, indexing="ij")
    np.testing.assert_allclose(table, np.stack([x * t, y - t], -1), atol=1e-5)
    before = w.network
    w.set_network(lambda x, tau: x)
    assert w.network != before
    with pytest.raises(ValueError, match="shape"):
        w.set_network(lambda x, tau: x[:, :1])
    with pytest.raises(ValueError, match="not finite.*tau = 1"):
        FlowField(network=lambda x, tau: torch.full_like(x, float("inf")) if tau == 1 else x)


def test_without_anywidget_the_hint_is_clear_and_the_fallbacks_work():
    code = """import sys; sys.modules["anywidget"] = None
import matplotlib; matplotlib.use("agg")
from minipi0 import toys, widgets
names = {"StraightLine": "straight_line", "FlowField": "flow_field", "EulerSteps": "euler_steps"}
for name, fallback in names.items():
    try:
        getattr(widgets, name)
    except ImportError as error:
        assert "pip install anywidget" in str(error), error
        assert f"{fallback}_fallback()" in str(error), error
    else:
        raise SystemExit(f"{name} was imported")
drawn = []
from minipi0.widgets import fallback
fallback.display = lambda fig: drawn.append([ax.get_title() for ax in fig.axes])
line, steps = widgets.straight_line_fallback(), widgets.euler_steps_fallback()
field = widgets.flow_field_fallback(toys.ring().velocity, 20)
controls = lambda f: {c.description: c for c in f.widget.children if hasattr(c, "value")}
assert list(controls(field)) == ["target", "field", "τ (1: action)", "Euler steps n"]
assert controls(field)["field"].options == ("exact", "network")
moves = (line, "τ (1: action)", 0.9), (field, "τ (1: action)", 0.25), (steps, "Euler steps n", 7)
for f, name, value in moves:
    before = len(drawn)
    controls(f)[name].value = value
    assert len(drawn) == before + 1  # a picture for each move
assert drawn[-2] == [r"$\\tau$ = 0.25"] and drawn[-1][0].startswith("n = 7: error"), drawn
"""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


def test_static_twins():
    ring = toys.ring()
    fig = twins.straight_line((-1.0, 0.0), torch.tensor([1.0, 1.0]), tau=0.4)
    assert "(2.00, 1.00)" in fig.axes[0].get_title()
    fig = twins.flow_field(ring, taus=(0, 0.5), n_particles=20)
    assert [ax.get_title() for ax in fig.axes] == [r"$\tau$ = 0", r"$\tau$ = 0.5"]
    fig = twins.flow_field(lambda x, tau: -x, taus=(1,), n_particles=20)  # any velocity
    fig = twins.euler_steps(ring, (0.5, 1.0), steps=(1, 8))
    noise = torch.tensor([[0.5, 1.0]], dtype=torch.float64)
    error = (flow.euler(ring.velocity, noise, 8) - flow.euler(ring.velocity, noise, 2000)).norm()
    assert fig.axes[1].get_title() == f"n = 8: error {error:.3f}"
    assert len(twins.noise_to_action(ring, n_particles=20).axes) == 5
    for fig in (
        twins.euler_steps(ring, steps=[4]),
        twins.flow_field(ring, taus=[0.5], n_particles=20),
    ):  # as the fallbacks draw them
        fig.canvas.draw()
        legend = fig.legends[0].get_window_extent()
        assert legend.x0 >= 0 and legend.x1 <= fig.bbox.width
    plt.close("all")


def test_a_target_added_to_the_table_is_known_everywhere(monkeypatch):
    cross = toys.GaussianMixture([[1, 0], [-1, 0], [0, 1], [0, -1]], 0.1)
    row = targets.Target(cross, "a cross", disc=0.3)
    monkeypatch.setitem(targets.TARGETS, "cross", row)
    drawn = []
    monkeypatch.setattr(fallback, "_show", drawn.append)
    for w in (FlowField("cross"), EulerSteps("cross")):  # the trait, and what the browser gets
        assert w.mixture is cross and w.targets["cross"]["label"] == "a cross"
        assert w.targets["cross"]["disc"] == 0.3 and len(w.targets["cross"]["means"]) == 4
    assert "dots" in FlowField().targets and "dots" not in EulerSteps().targets
    for make in (fallback.flow_field_fallback, fallback.euler_steps_fallback):
        menu = make().widget.children[0]
        assert ("a cross", "cross") in menu.options
        menu.value = "cross"  # draws the static twin
    field, steps = drawn[1].axes[0].patches, drawn[-1].axes[0].patches
    assert [patch.get_radius() for patch in field] == [0.3] + [0.2] * 4
    assert [patch.get_radius() for patch in steps] == [0.2] * 4
    plt.close("all")


@needs_chromium
def test_the_browser_offers_what_the_table_has(monkeypatch):
    row = targets.Target(toys.GaussianMixture([[1, 0], [-1, 0]], 0.1), "a pair", disc=0.3)
    monkeypatch.setitem(targets.TARGETS, "pair", row)
    labels = [target.label for target in targets.TARGETS.values()]
    with blank_page() as page:
        for widget, also in ((FlowField("pair"), ["your own dots"]), (EulerSteps("pair"), [])):
            page.goto("about:blank")
            mount(page, widget)
            page.wait_for_function(DRAWN)
            menu = page.get_by_label("target", exact=True)
            assert menu.locator("option").all_text_contents() == labels + also
            assert menu.input_value() == "pair"
        assert page.errors == []


def test_the_obstacle_is_drawn_as_a_disc_by_twin_and_fallback(monkeypatch):
    drawn = []
    monkeypatch.setattr(fallback, "_show", drawn.append)
    draw = fallback.flow_field_fallback(n_particles=20)
    for target in ("obstacle", "ring"):
        draw(target=target, field="exact", tau=0.5, euler_steps=2)
    shown = [
        [patch.get_radius() for patch in fig.axes[0].patches if patch.center == (0, 0)]
        for fig in drawn
    ]
    assert shown[-2:] == [[toys.obstacle.radius], []]
    plt.close("all")


# ---- the same mathematics in JavaScript ----------------------------------------------------------
def run_js(code: str):
    """The JSON value of `result`, computed after mixture.js by node, or else by Chromium."""
    code = browser_code("mixture.js") + code
    if node := shutil.which("node"):
        code += "\nconsole.log(JSON.stringify(result));"
        done = subprocess.run(
            [node, "-"], input=code, capture_output=True, text=True, encoding="utf-8", timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    if CHROMIUM is None:
        pytest.skip("neither node nor Chromium found to run JavaScript")
    with blank_page() as page:
        return page.evaluate(f"() => {{ {code}\n return result; }}")


@pytest.mark.parametrize(
    "mixture",
    [toys.ring(), toys.two_moons(), toys.GaussianMixture([[0.3, -1], [2, 2]], 0.05, [0.9, 0.1])],
)
def test_js_field_is_the_closed_form(mixture):
    points = (
        torch.randn(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 1.5
    )
    points[0] = torch.tensor([30.0, -40.0])  # far away: nothing may underflow
    taus = [0.0, 0.1, 0.5, 0.9, 0.99, 1.0]
    plain = {
        "means": mixture.means.tolist(),
        "std": mixture.std,
        "weights": mixture.weights.tolist(),
    }
    code = (
        "const f = mixtureField(%s); const result = %s.map((tau) => %s.map(([x, y]) => f(x, y, "
        "tau)));"
    )
    result = run_js(code % (json.dumps(plain), taus, points.tolist()))
    for tau, js in zip(taus, result, strict=True):
        torch.testing.assert_close(
            torch.tensor(js, dtype=torch.float64),
            mixture.velocity(points, tau),
            rtol=1e-5,
            atol=1e-5,
        )


def test_js_paths():
    mixture, start = toys.two_moons(), [1.6, 2.4]
    plain = json.dumps(
        {"means": mixture.means.tolist(), "std": mixture.std, "weights": mixture.weights.tolist()}
    )
    result = run_js(f"""const f = mixtureField({plain}), path = eulerPath(f, {start}, 7);
        const exact = exactPath(f, {start}).at(-1), half = pathAt(path, 0.5);
        const result = {{ path, exact, half, end: pathAt(path, 1) }};""")
    noise = torch.tensor([start], dtype=torch.float64)
    path = flow.euler(mixture.velocity, noise, 7, path=True)[:, 0]
    np.testing.assert_allclose(result["path"], path, atol=1e-9)
    np.testing.assert_allclose(result["half"], (path[3] + path[4]) / 2, atol=1e-9)
    np.testing.assert_allclose(result["end"], path[-1], atol=1e-9)
    true = solve_ivp(
        lambda t, x: mixture.velocity(torch.tensor(x)[None], min(t, 1.0))[0].numpy(),
        (0, 1),
        start,
        rtol=1e-9,
        atol=1e-9,
    )
    np.testing.assert_allclose(result["exact"], true.y[:, -1], atol=1e-5)


def test_js_interpolates_the_network_grid():
    def velocity(x, tau):  # linear in x, y and in tau: to be reproduced between the nodes too
        return torch.stack([1 + 2 * x[:, 0] - x[:, 1] + 3 * tau, x[:, 1] * tau], 1).float()

    table = base64.b64encode(targets.sample_grid(velocity).tobytes()).decode()
    points = [[0.03, -1.27, 0.512], [3.9, 3.1, 0.0], [-4, 4, 1], [1.01, 0.99, 0.999]]
    result = run_js(f"""const bytes = Uint8Array.from(atob("{table}"), (c) => c.charCodeAt(0));
        const f = gridField(new Float32Array(bytes.buffer), {json.dumps(targets.GRID)});
        const result = [...{points}, [9, -9, 1]].map((p) => f(...p));""")
    for (x, y, tau), v in zip(points, result, strict=False):
        np.testing.assert_allclose(v, velocity(torch.tensor([[x, y]]), tau)[0], atol=1e-4)
    np.testing.assert_allclose(
        result[-1], velocity(torch.tensor([[4.0, -4.0]]), 1.0)[0], atol=1e-4
    )  # beyond the rim: its nearest point


def test_js_sampling_has_the_right_moments():
    result = run_js("""const source = randomSource(0), result = { normal: [], mix: [] };
        const mixture = { means: [[1, 0], [-1, 2]], std: 0.1, weights: [0.25, 0.75] };
        for (let i = 0; i < 20000; i++) {
            result.normal.push(source.normal());
            result.mix.push(sampleMixture(mixture, source));
        }""")
    normal, mix = np.array(result["normal"]), np.array(result["mix"])
    assert (
        abs(normal.mean()) < 0.03
        and abs(normal.std() - 1) < 0.03
        and abs((normal**4).mean() - 3) < 0.25
    )
    np.testing.assert_allclose(mix.mean(0), [-0.5, 1.5], atol=0.03)


# ---- in the browser, on a page of our own --------------------------------------------------------
MODEL_JS = """window.makeModel = (state) => {  // what a widget asks of its model
  const heard = {};
  const tell = (event) => { for (const f of [...(heard[event] || [])]) f(); };
  return { get: (name) => state[name], save_changes() {},
    set(name, value) {
      if (state[name] === value) return;
      state[name] = value;
      for (const event of ["change:" + name, "change"]) tell(event);
    },
    on(event, f) { (heard[event] ||= []).push(f); },
    off(event, f) { heard[event] = heard[event].filter((g) => g !== f); },
    listeners: () => Object.values(heard).flat().length };
};
window.mount = async (esm, css, state, network) => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  if (network !== undefined) state.network = new DataView(bytes(network).buffer);
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const blob = new Blob([esm], { type: "text/javascript" });
  const module = await import(URL.createObjectURL(blob));
  window.model = makeModel(state);
  window.show = (el) => module.default.render({ model, el: document.body.appendChild(el) });
  window.root = document.createElement("div");
  window.cleanUp = show(root);
};
window.picture = () => root.querySelector("canvas").toDataURL();"""

# the first frame also fills the table of numbers
DRAWN = "() => root.querySelector('td + td').textContent !== ''"


@contextlib.contextmanager
def blank_page(**context):
    """A page in Chromium that collects its console errors as page.errors."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1300, "height": 1000}, **context).new_page()
        page.set_default_timeout(LIMIT)
        page.errors = []
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        browser.close()


def mount(page, widget):
    own = [
        name
        for name in widget.keys
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
    ]
    state = {name: getattr(widget, name) for name in own}
    network = base64.b64encode(state.pop("network", b"")).decode()
    page.add_script_tag(content=MODEL_JS)
    page.evaluate("args => mount(...args)", [widget._esm, str(widget._css), state, network])
    page.wait_for_function(DRAWN)


LATENCY_JS = """() => { // from each event to the end of the frame that draws what it changed, in ms
  window.latency = [];
  for (const kind of ["keydown", "pointermove"]) root.addEventListener(kind, () => {
    const start = performance.now(), drawn = new MessageChannel();
    drawn.port1.onmessage = () => latency.push(performance.now() - start);
    requestAnimationFrame(() => drawn.port2.postMessage(0));
  }, true);
}"""


@needs_chromium
def test_the_straight_line_follows_mouse_and_keys_within_50_ms():
    with blank_page() as page:
        mount(page, StraightLine(noise=(-2.0, -1.0), action=(1.5, 2.0), tau=0.5))
        numbers = lambda: page.locator("td + td").all_inner_texts()  # noqa: E731
        assert numbers() == [
            "(−2.00, −1.00)",
            "(1.50, 2.00)",
            "(−0.25, 0.50)",
            "(3.50, 3.00)",
            "4.61",
            "2.30",
        ]
        page.evaluate(LATENCY_JS)
        noise, action = page.locator(".m0-handle").all()
        for _ in range(20):
            page.locator("input[type=range]").press("ArrowRight")
            noise.press("ArrowUp")
            noise.press("Shift+ArrowLeft")
        assert page.evaluate("[model.get('tau'), ...model.get('noise')]") == pytest.approx(
            [0.7, -2.4, 1.0]
        )
        canvas, handle = page.locator("canvas").bounding_box(), action.bounding_box()
        page.mouse.move(handle["x"] + 9, handle["y"] + 9)
        page.mouse.down()
        page.mouse.move(
            canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2, steps=20
        )
        page.mouse.move(
            canvas["x"] + 2 * canvas["width"], canvas["y"] - 500
        )  # out of the picture: it waits at the edge
        page.mouse.up()
        page.mouse.move(canvas["x"], canvas["y"])  # let go: it stays
        assert page.evaluate("model.get('action')") == pytest.approx([3.3, 3.3], abs=0.01)
        page.wait_for_function("latency.length >= 80")
        page.wait_for_function(
            "document.querySelectorAll('.m0 td + td')[3].textContent === '(5.70, 2.30)'"
        )  # A - eps
        assert (
            np.quantile(page.evaluate("latency"), 0.25) < 50
        )  # on a machine that other tests keep busy, the quick ones tell
        assert page.errors == []


@needs_chromium
def test_dragging_clicking_and_playing():
    with blank_page() as page:
        mount(page, FlowField("ring", n_particles=500))
        box = page.locator("canvas").bounding_box()
        page.mouse.click(
            box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2
        )  # a noise point at (1.7, 0)
        assert page.evaluate("model.get('particle')") == pytest.approx([1.7, 0], abs=0.05)
        handle = page.locator(".m0-handle").bounding_box()
        page.mouse.move(handle["x"] + 9, handle["y"] + 9)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4, steps=4)
        page.mouse.up()
        assert page.evaluate("model.get('particle')") == pytest.approx([0, 1.7], abs=0.05)
        before = page.evaluate("picture()")
        page.get_by_role("button", name="Play").press("Enter")
        page.wait_for_function(
            "model.get('tau') === 1 && !model.get('playing')"
        )  # plays to the end, then stops
        assert page.evaluate("picture()") != before
        page.evaluate("cleanUp()")
        assert page.evaluate("[model.listeners(), root.childNodes.length]") == [0, 0]
        assert page.errors == []


@needs_chromium
def test_ones_own_dots_are_added_moved_and_removed_by_mouse_and_keys():
    with blank_page() as page:
        mount(page, FlowField("dots", n_particles=100, dots=[(0, 1.5)]))
        box = page.locator("canvas").bounding_box()
        pixel = lambda x, y: (  # noqa: E731
            box["x"] + (x / 3.4 + 1) / 2 * box["width"],
            box["y"] + (1 - y / 3.4) / 2 * box["height"],
        )  # noqa: E731

        def drag(start, end):
            page.mouse.move(*pixel(*start))
            page.mouse.down()
            page.mouse.move(*pixel(*end), steps=30)
            page.mouse.up()

        def dots_are(*expected):
            assert np.array(page.evaluate("model.get('dots')")) == pytest.approx(
                np.array(expected), abs=0.05
            )

        button = lambda name: page.get_by_role("button", name=name)  # noqa: E731
        page.mouse.click(*pixel(1, 0.5))
        dots_are((0, 1.5), (1, 0.5))
        drag((1, 0.5), (2, 2))
        dots_are((0, 1.5), (2, 2))
        page.mouse.click(*pixel(2, 2), button="right")  # the browser's own menu, no dot
        page.mouse.click(*pixel(0, 1.5))
        dots_are((2, 2))
        drag((-2.5, -1), (-1.8, -1))  # drawn: a dot each 0.3
        dots_are((2, 2), (-2.5, -1), (-2.18, -1), (-1.86, -1))
        before = page.evaluate("picture()")
        button("Add a dot").press("Enter")
        dots_are((2, 2), (-2.5, -1), (-2.18, -1), (-1.86, -1), (-1.8, 0.7))
        page.wait_for_function("before => picture() !== before", arg=before)
        page.locator(".m0-handle").press("ArrowLeft")
        button("nearest").press("Space")
        dots_are((2, 2), (-2.5, -1), (-2.18, -1), (-1.86, -1))
        button("Remove all").press("Enter")
        button("nearest").press("Enter")  # nothing there: nothing happens
        assert page.evaluate("model.get('dots')") == []
        page.evaluate("model.set('dots', Array(100).fill([1, 1]))")
        button("Add a dot").press("Enter")
        assert page.evaluate("model.get('dots').length") == 100  # what the trait allows
        assert page.errors == []


@needs_chromium
def test_five_hundred_particles_play_at_55_pictures_a_second_and_sliders_answer_within_50_ms():
    with blank_page() as page:
        mount(page, FlowField("two_moons", n_particles=500))
        page.evaluate(LATENCY_JS)
        tau, steps = page.locator("input[type=range]").all()
        for _ in range(20):
            tau.press("ArrowRight")
            steps.press("ArrowRight")  # 500 paths anew
        page.wait_for_function("latency.length >= 40")
        assert np.median(page.evaluate("latency")) < 50
        page.evaluate("""() => { // what the page needs for a frame: the bound of a quiet machine
            const ask = window.requestAnimationFrame.bind(window);
            window.cost = [];
            window.requestAnimationFrame = (f) => ask((time) => {
                const start = performance.now(); f(time); cost.push(performance.now() - start);
            });
        }""")
        page.get_by_role("button", name="Play").press("Enter")
        page.wait_for_function("model.get('tau') === 1")
        assert (
            2 * np.median(page.evaluate("cost")) < 1000 / 55
        )  # two callbacks a frame: the clock and the picture
        assert page.errors == []


@needs_chromium
def test_two_views_of_one_widget_resized_hidden_and_removed():
    with blank_page(device_scale_factor=2) as page:
        mount(page, FlowField("ring", n_particles=50))
        page.evaluate(
            "() => { window.second = document.createElement('div'); "
            "window.cleanSecond = show(second); }"
        )
        page.evaluate("""() => { window.start = performance.now(); model.set('playing', true);
            model.on('change:playing', () => { window.took = performance.now() - start; }); }""")
        page.wait_for_function("window.took")
        assert page.evaluate("took") > 3500  # two clocks would play twice as fast
        page.wait_for_function(
            "[root, second].every((el) => el.querySelector('output').textContent === '1.00')"
        )
        sizes = (
            "['width', 'height', 'clientWidth', 'clientHeight'].map((name) => "
            "root.querySelector('canvas')[name])"
        )
        assert page.evaluate(sizes) == [
            880,
            880,
            440,
            440,
        ]  # sharp on a screen with two pixels a pixel
        page.evaluate("root.style.width = '320px'")
        page.wait_for_function("root.querySelector('canvas').width === 2 * 312")
        assert (
            page.evaluate(sizes) == [624, 624, 312, 312]
            and page.evaluate("root.scrollWidth") == 320
        )
        before = page.evaluate("root.style.display = 'none', picture()")
        page.evaluate("model.set('tau', 0.3)")  # while nobody sees it
        page.evaluate("root.style.display = ''")
        page.wait_for_function("before => picture() !== before", arg=before)

        page.evaluate("model.set('playing', true); cleanUp()")
        page.wait_for_function(
            "second.querySelector('output').textContent > '0.40'"
        )  # the other plays on
        page.evaluate("""() => { cleanSecond(); window.asked = 0;
            const ask = window.requestAnimationFrame.bind(window);
            window.requestAnimationFrame = (f) => { asked++; return ask(f); };
            document.body.dataset.theme = 'dark';
            model.set('tau', 0.9);
            window.dispatchEvent(new Event('resize')); }""")
        page.wait_for_timeout(300)
        assert page.evaluate("[asked, root.childNodes.length, second.childNodes.length]") == [
            0,
            0,
            0,
        ]
        assert page.evaluate("model.listeners()") == 1 and page.errors == []  # this test's own


@needs_chromium
def test_less_motion_for_those_who_asked():
    with blank_page(reduced_motion="reduce") as page:
        mount(page, FlowField("ring", n_particles=50))
        page.evaluate(
            "() => { window.seen = new Set(); model.on('change:tau', () => "
            "seen.add(model.get('tau').toFixed(6))); }"
        )
        page.get_by_role("button", name="Play").press("Space")
        page.wait_for_function("model.get('tau') === 1 && !model.get('playing')")
        assert page.evaluate("seen.size") <= 11 and page.errors == []


@needs_chromium
def test_an_exported_page_carries_all_it_needs():
    """nbconvert's page holds each widget's whole state, code included: enough to draw it without
    kernel or Python.

    The standard widget scripts, which such a page loads from their CDN, are not at hand here;
    `mount` stands in for them.
    """
    cells = [
        "from minipi0 import toys, widgets",
        "widgets.StraightLine()",
        "widgets.EulerSteps()",
        "widgets.FlowField(network=toys.ring().velocity)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3", store_widget_state=True).execute()
    html, _ = HTMLExporter().from_notebook_node(notebook)
    states = json.loads(
        re.search(
            r'<script type="application/vnd.jupyter.widget-state\+json">(.*?)</script>', html, re.S
        )[1]
    )["state"]
    views = re.findall(
        r'<script type="application/vnd.jupyter.widget-view\+json">(.*?)</script>', html, re.S
    )
    assert len(views) == 3 and "html-manager" in html
    with blank_page() as page:
        for view in views:
            model = states[json.loads(view)["model_id"]]
            assert (model["model_module"], model["model_name"]) == ("anywidget", "AnyModel")
            state, buffers = (
                model["state"],
                {"/".join(b["path"]): b["data"] for b in model.get("buffers", [])},
            )
            page.goto("about:blank")
            page.add_script_tag(content=MODEL_JS)
            page.evaluate(
                "args => mount(...args)",
                [state["_esm"], state["_css"], state, buffers.get("network", "")],
            )
            page.wait_for_function(DRAWN)
            before = page.evaluate("picture()")
            page.locator("input[type=range]").first.press("ArrowRight")
            page.wait_for_function("before => picture() !== before", arg=before)
        assert page.get_by_label("field", exact=True).input_value() == "network"
        assert page.errors == []


# ---- in JupyterLab -------------------------------------------------------------------------------
@pytest.fixture
def lab(tmp_path):
    """A JupyterLab of our own on a free port, with empty settings; its address.

    Ended by its process id.
    """
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
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
                f"--port={port}",
                "--ServerApp.port_retries=0",
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
        deadline = time.monotonic() + 120
        while True:
            try:
                open_url(f"http://127.0.0.1:{port}/api/status", timeout=5).close()
                break
            except OSError:
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
    url, root = lab
    cells = [
        "import ipywidgets\nfrom minipi0.widgets import FlowField, StraightLine\nline = "
        "StraightLine(tau=0.5)\nline",
        "field = FlowField()\nlabel = ipywidgets.Label('untouched')\n"
        "def follow(change):\n    label.value = f'Python knows {change.new:.2f}'\n    field.tau "
        "= change.new\n"
        "line.observe(follow, 'tau')\nipywidgets.VBox([label, field])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }  # or JupyterLab asks which
    nbformat.write(notebook, root / "widgets.ipynb")
    with blank_page() as page:
        page.goto(f"{url}/lab/tree/widgets.ipynb")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === "
            "'idle'"
        )
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_function("document.querySelectorAll('.m0 canvas').length === 2")
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
