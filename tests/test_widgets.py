"""The widgets: their traits, and their mathematics in JavaScript against the Python one."""

import base64
import json
import shutil
import subprocess
import sys

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from browser import CHROMIUM, blank_page  # noqa: E402
from scipy.integrate import solve_ivp  # noqa: E402
from traitlets import TraitError  # noqa: E402

from minipi0 import flow, toys  # noqa: E402
from minipi0.plots import flow_field as twins  # noqa: E402
from minipi0.widgets import EulerSteps, FlowField, StraightLine, fallback, targets  # noqa: E402
from minipi0.widgets.base import browser_code  # noqa: E402


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
    table = np.frombuffer(w.network, np.float16).reshape(
        targets.GRID["taus"], targets.GRID["side"], targets.GRID["side"], 2
    )
    line, taus = np.linspace(-4, 4, targets.GRID["side"]), np.linspace(0, 1, targets.GRID["taus"])
    t, y, x = np.meshgrid(taus, line, line, indexing="ij")
    np.testing.assert_allclose(table, np.stack([x * t, y - t], -1), atol=2e-3)
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
field = widgets.flow_field_fallback(toys.ring().velocity)
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
    assert len(twins.noise_to_action(ring).axes) == 4
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
    row = targets.Target(cross, "a cross")
    monkeypatch.setitem(targets.TARGETS, "cross", row)
    drawn = []
    monkeypatch.setattr(fallback, "_show", drawn.append)
    for w in (FlowField("cross"), EulerSteps("cross")):  # the trait, and what the browser gets
        assert w.mixture is cross and w.targets["cross"]["label"] == "a cross"
        assert len(w.targets["cross"]["means"]) == 4
    assert "dots" in FlowField().targets and "dots" not in EulerSteps().targets
    for make in (fallback.flow_field_fallback, fallback.euler_steps_fallback):
        menu = make().widget.children[0]
        assert ("a cross", "cross") in menu.options
        menu.value = "cross"  # draws the static twin
    for fig in (drawn[1], drawn[-1]):
        for rim, mean in zip(fig.axes[0].lines, cross.means, strict=False):
            assert np.allclose(np.linalg.norm(rim.get_xydata() - mean.numpy(), axis=1), 0.2)
    plt.close("all")


# ---- the same mathematics in JavaScript ----------------------------------------------------------
def run_js(code: str, *files: str):
    """The JSON value of `result`, computed after these files by node, or else by Chromium."""
    code = browser_code(*files or ("random.js", "mixture.js")) + code
    code = code.replace("export default", "const widget =")  # this is no module
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
        const data = Float32Array.from(new Uint16Array(bytes.buffer), float16);
        const f = gridField(data, {json.dumps(targets.GRID)});
        const result = [...{points}, [9, -9, 1]].map((p) => f(...p));""")
    for (x, y, tau), v in zip(points, result, strict=False):
        np.testing.assert_allclose(v, velocity(torch.tensor([[x, y]]), tau)[0], atol=0.01)
    np.testing.assert_allclose(
        result[-1], velocity(torch.tensor([[4.0, -4.0]]), 1.0)[0], atol=0.01
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
