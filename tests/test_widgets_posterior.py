"""Posterior: the browser's weights and their mean arrow are toys.GaussianMixture's."""

import json

import pytest
import torch
from browser import blank_page, mount, needs_chromium
from test_widgets import run_js

from minipi0 import toys
from minipi0.widgets import Posterior


def test_the_weights_are_the_mixtures():
    w = Posterior(tau=0.5)
    assert len(w.demonstrations) == 60 and w.weights.sum() == pytest.approx(1)
    assert w.mixture.means.tolist() == [list(d) for d in w.demonstrations]
    with pytest.raises(ValueError, match="no demonstrations"):
        Posterior([])
    some = toys.two_moons().sample(7)
    assert len(Posterior(some).weights) == 7


def test_js_posterior_and_velocity_are_the_closed_form():
    w = Posterior()
    demos, taus = json.dumps(w.demonstrations), [0.0, 0.25, 0.7, 0.95, 1.0]
    points = [[1.0, 0.0], [-0.3, 2.1], [0.01, 0.02], [30.0, -40.0]]
    code = f"""const mixture = {{ demos: {demos}, std: {w.std} }};
        const all = (f) => {taus}.map((tau) => {points}.map((x) => Array.from(f(mixture, x, tau))));
        const result = [all(posterior), all(demoVelocity)];"""
    shares, velocities = run_js(code, "posterior_field.js")
    x = torch.tensor(points, dtype=torch.float64)
    for i, tau in enumerate(taus):
        near = {"atol": 1e-9, "rtol": 1e-9}
        exact = w.mixture.posterior(x, tau), w.mixture.velocity(x, tau)
        for js, ours in zip((shares[i], velocities[i]), exact, strict=True):
            torch.testing.assert_close(torch.tensor(js, dtype=torch.float64), ours, **near)


@needs_chromium
def test_hover_shows_click_pins_and_a_swipe_does_not():
    with blank_page(has_touch=True) as page:
        w = Posterior([(2, 0), (-2, 0)], tau=0.5)
        mount(page, w)
        numbers = lambda: page.locator("td + td").all_inner_texts()  # noqa: E731
        assert numbers()[:3] == ["(1.00, 0.00)", "2", "100 %"]
        box = page.locator("canvas").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*middle)
        page.wait_for_function(
            "document.querySelectorAll('.m0 td + td')[2].textContent === '50.0 %'"
        )
        assert numbers()[3] == "2.0" and page.evaluate("model.get('point')") == [1, 0]
        page.mouse.move(box["x"] + 2 * box["width"], box["y"])
        page.wait_for_function(
            "document.querySelectorAll('.m0 td + td')[0].textContent === '(1.00, 0.00)'"
        )
        page.mouse.click(*middle)
        assert page.evaluate("model.get('point')") == pytest.approx([0, 0], abs=0.02)
        place = {"clientX": middle[0] + 50, "clientY": middle[1]}
        finger = {"bubbles": True, "pointerType": "touch", "button": 0} | place
        for name in ("pointerdown", "pointermove", "pointercancel"):  # a swipe: the page scrolls
            page.locator("canvas").dispatch_event(name, finger)
        assert page.evaluate("model.get('point')[0]") == pytest.approx(0, abs=0.02)
        page.touchscreen.tap(middle[0] + 50, middle[1])
        assert page.evaluate("model.get('point')[0]") > 0.5
        reach = page.evaluate(  # how far from a handle's middle a finger still takes it
            "() => { const box = root.querySelector('.m0-handle').getBoundingClientRect(), y = "
            "box.top + box.height / 2; let right = 0; while (document.elementFromPoint(box.left + "
            "9 + right, y).matches('.m0-handle')) right++; return right; }"
        )
        assert 20 <= reach <= 26
        assert page.errors == []
