"""Scribble: the browser's field is toys.GaussianMixture's, and one step drives into the disc."""

import json

import pytest
import torch
import traitlets
from browser import blank_page, mount, needs_chromium
from test_widgets import run_js

from minipi0 import flow, toys
from minipi0.widgets import Scribble

PLACES = [(0, 0), (0.6, 0.7), (-0.8, -0.8), (0.8, -0.8), (0, 0.8)]


@pytest.mark.parametrize("place", PLACES)
def test_demonstrations_go_around_the_disc_wherever_it_is(place):
    w = Scribble(obstacle=place)
    chunks = w.demonstrations
    assert chunks.shape == (64, 16, 2) and chunks.abs().max() < 3.4
    there = chunks - torch.tensor(place, dtype=chunks.dtype)
    assert not toys.obstacle.collides(there).any()
    assert (toys.obstacle.side(there) == 1).sum() == 32
    mean = there.mean(0, keepdim=True)
    assert toys.obstacle.collides(mean).all()
    with pytest.raises(traitlets.TraitError, match="gets around"):
        w.obstacle = (0.9, 0)


def test_js_field_and_paths_are_the_closed_form():
    w = Scribble(obstacle=(0.3, -0.4))
    noise = torch.randn(5, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    taus = [0.0, 0.3, 0.9, 0.97, 1.0]
    code = """
        const demos = %s.map((chunk) => around(chunk, [0.3, -0.4])), mixture = { demos, std: %s };
        const rows = (x) => Array.from(x, (row) => Array.from(row));
        const result = { demos, fields: %s.map((tau) => rows(%s.map((x) =>
            demoVelocity(mixture, x.map((c) => c * (1 - tau) + tau * demos[0][0]), tau)))),
            paths: %s.map((x) => rows(demoPath(mixture, x, 7))) };"""
    values = [json.dumps(v) for v in (w.chunks, 0.02, taus, noise.tolist(), noise.tolist())]
    files = "canvas.js", "play.js", "random.js", "posterior_field.js", "scribble.js"
    result = run_js(code % tuple(values), *files)
    torch.testing.assert_close(
        torch.tensor(result["demos"], dtype=torch.float64), w.demonstrations.flatten(1)
    )
    for tau, field in zip(taus, result["fields"], strict=True):
        x = noise * (1 - tau) + tau * w.demonstrations[0, 0, 0]
        expected = w.mixture.velocity(x, tau)
        torch.testing.assert_close(torch.tensor(field, dtype=torch.float64), expected)
    paths = torch.tensor(result["paths"], dtype=torch.float64).transpose(0, 1)
    torch.testing.assert_close(paths, flow.euler(w.mixture.velocity, noise, 7, path=True))
    ends = paths[-1].unflatten(1, (16, 2)) - torch.tensor([0.3, -0.4], dtype=torch.float64)
    assert not toys.obstacle.collides(ends).any()


@needs_chromium
def test_one_step_and_regression_enter_the_disc_and_the_disc_can_be_moved():
    with blank_page() as page:
        w = Scribble(tau=1.0, euler_steps=10)
        mount(page, w)
        counts = "[...root.querySelectorAll('td + td')].slice(0, 3).map((td) => td.textContent)"
        in_disc = f"{counts}[2]"
        above, below, hit = (int(text.split()[0]) for text in page.evaluate(counts))
        assert hit == 0 and above + below == 30 and min(above, below) > 8
        page.get_by_label("Euler steps n").press("Home")
        page.wait_for_function(f"{in_disc} === '30 of 30'")
        page.get_by_label("Euler steps n").press("End")
        page.wait_for_function(f"{in_disc} === '0 of 30'")
        page.get_by_label("policy").select_option("regression")
        page.wait_for_function(f"{in_disc} === '30 of 30'")
        assert page.get_by_label("Euler steps n").is_disabled()
        before = page.evaluate("picture()")
        page.get_by_role("button", name="New noise").press("Enter")  # another noise, one answer
        page.wait_for_function("before => picture() !== before", arg=before)
        assert page.evaluate(in_disc) == "30 of 30"
        page.evaluate("model.set('tau', 0.5)")
        page.get_by_label("policy").select_option("flow")
        page.get_by_label("policy").select_option("regression")
        page.wait_for_function("model.get('tau') === 1")
        page.get_by_label("policy").select_option("flow")
        before = page.evaluate("picture()")
        for _ in range(12):
            page.locator(".m0-handle").press("ArrowUp")
        page.wait_for_function("before => picture() !== before", arg=before)
        assert page.evaluate("model.get('obstacle')") == [0, 0.8]
        page.wait_for_function(f"{in_disc} === '0 of 30'")
        page.evaluate("model.set('tau', 0)")
        page.get_by_role("button", name="Play").press("Enter")
        page.wait_for_function("model.get('tau') === 1 && !model.get('playing')")
        page.evaluate("cleanUp()")
        assert page.evaluate("[model.listeners(), root.childNodes.length]") == [0, 0]
        assert page.errors == []
