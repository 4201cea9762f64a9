"""Luck and its price: exact chances against enumeration, approximations against simulation, the
planner's JavaScript against Python."""

import json
import shutil
import subprocess

import matplotlib
import numpy as np
import pytest
from scipy import stats

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402
from browser import blank_page, mount, needs_chromium  # noqa: E402
from traitlets import TraitError  # noqa: E402

from minipi0 import planning  # noqa: E402
from minipi0.plots import how_many_trials as draw  # noqa: E402
from minipi0.widgets import TrialPlanner, fallback  # noqa: E402
from minipi0.widgets.base import browser_code  # noqa: E402

CASES = [(0.9, 0.8, 10, 0.0), (0.95, 0.5, 30, 0.1), (0.7, 0.8, 100, 0.5), (0.3, 0.3, 7, 0.9)]


def test_joint_probabilities_have_the_rates_and_the_correlation():
    for p1, p2, _, rho in CASES:
        both, first, second, neither = planning.joint(p1, p2, rho)
        assert both + first == pytest.approx(p1) and both + second == pytest.approx(p2)
        assert both + first + second + neither == pytest.approx(1)
        scale = np.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
        assert (both - p1 * p2) / scale == pytest.approx(rho)
    low, high = planning.correlations(0.9, 0.5)
    assert min(planning.joint(0.9, 0.5, low)) == min(planning.joint(0.9, 0.5, high)) == 0
    with pytest.raises(ValueError, match="lies between -0.33 and 0.33"):
        planning.joint(0.9, 0.5, 0.5)
    with pytest.raises(ValueError, match="p2 must be a rate"):
        planning.joint(0.5, 1.5)


def test_who_wins_is_exact_without_and_right_with_correlation():
    k = np.arange(11)
    both = np.outer(stats.binom.pmf(k, 10, 0.9), stats.binom.pmf(k, 10, 0.8))
    exact = np.tril(both, -1).sum(), np.trace(both), np.triu(both, 1).sum()
    assert planning.who_wins(0.9, 0.8, 10) == pytest.approx(exact)
    drawn = np.random.default_rng(0).multinomial(30, planning.joint(0.8, 0.7, 0.5), size=100_000)
    ahead = (drawn[:, 1] > drawn[:, 2]).mean(), (drawn[:, 1] < drawn[:, 2]).mean()
    computed = planning.who_wins(0.8, 0.7, 30, 0.5)
    assert (computed[0], computed[2]) == pytest.approx(ahead, abs=0.006)
    assert sum(computed) == pytest.approx(1)
    assert planning.who_wins(0.4, 0.4, 9, 1.0) == (0, 1, 0)


@pytest.mark.parametrize(("p1", "p2", "rho"), [(0.9, 0.8, 0.0), (0.9, 0.8, 0.5), (0.6, 0.4, 0.3)])
def test_the_trials_needed_give_the_power_that_was_asked_for(p1, p2, rho):
    n = planning.needed(p1, p2, rho)
    assert planning.power(p1, p2, n, rho) >= 0.8 > planning.power(p1, p2, n - 1, rho)
    drawn = np.random.default_rng(1).multinomial(n, planning.joint(p1, p2, rho), size=20_000)
    wins, losses = drawn[:, 1], drawn[:, 2]
    found = np.abs(wins - losses) >= 1.96 * np.sqrt(wins + losses)
    assert found.mean() == pytest.approx(0.82, abs=0.04)
    spread = ((wins - losses) / n).std()
    assert 1.96 * spread == pytest.approx(planning.half_width(p1, p2, n, rho), rel=0.03)


def test_equal_policies_need_no_number_of_trials():
    with pytest.raises(ValueError, match="equal policies"):
        planning.needed(0.8, 0.8)
    assert planning.power(0.8, 0.8, 100) == pytest.approx(0.025)  # one of the two sides


def test_the_planners_javascript_computes_the_same():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    code = browser_code("binomial.js") + (
        f"\nconst result = {json.dumps(CASES)}.map(([a, b, n, r]) => [whoWins(a, b, n, r), "
        "power(a, b, n, r),"
        " halfWidth(a, b, n, r), needed(a, b, r), highestCorrelation(a, b), wilson(a, n)]);"
        "\nconsole.log(JSON.stringify(result));"
    )
    done = subprocess.run([node, "-"], input=code, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for (p1, p2, n, rho), js in zip(CASES, json.loads(done.stdout), strict=True):
        won, power, half, needed, highest, wilson = js
        assert won == pytest.approx(planning.who_wins(p1, p2, n, rho), abs=1e-9)
        assert power == pytest.approx(planning.power(p1, p2, n, rho), abs=1e-6)
        assert half == pytest.approx(planning.half_width(p1, p2, n, rho))
        # JSON has no infinity
        assert needed == (planning.needed(p1, p2, rho) if p1 != p2 else None)
        assert highest == pytest.approx(planning.correlations(p1, p2)[1])
        k = p1 * n
        if k == round(k):
            interval = stats.binomtest(round(k), n).proportion_ci(method="wilson")
            assert wilson == pytest.approx([interval.low, interval.high])


def test_the_planner_refuses_what_cannot_be():
    for wrong in (dict(p1=1.2), dict(n=2), dict(correlation=-0.1)):
        with pytest.raises(TraitError):
            TrialPlanner(**wrong)
    planner = TrialPlanner(n=50)
    planner.p1 = 0.5
    assert (planner.p1, planner.n) == (0.5, 50)


def test_twin_and_fallback_draw_the_same_plan(monkeypatch):
    drawn = []
    monkeypatch.setattr(fallback, "_show", drawn.append)
    interact = fallback.trial_planner_fallback(0.9, 0.5, 20)
    interact(p1=0.9, p2=0.5, n=20, correlation=0.9)  # more alike than they can be
    twin = draw.plan(0.9, 0.5, 20, planning.correlations(0.9, 0.5)[1])
    assert drawn[-1].axes[0].get_title() == twin.axes[0].get_title()
    assert drawn[-1].axes[1].get_title() == twin.axes[1].get_title()
    plt.close("all")


@needs_chromium
def test_in_the_browser_every_slider_changes_picture_and_numbers():
    with blank_page() as page:
        mount(page, TrialPlanner(p1=0.9, p2=0.8, n=10, correlation=0.6))
        numbers = lambda: page.locator("td + td").all_inner_texts()  # noqa: E731
        shown = numbers()
        assert shown[2] == "10 ± 20 points" and shown[6] == "202"
        for slider in page.locator("input[type=range]").all():
            before = page.evaluate("picture()"), numbers()
            slider.press("ArrowLeft")
            page.wait_for_function("before => picture() !== before", arg=before[0])
            assert numbers() != before[1]
        page.evaluate("model.set('p2', 0.3)")
        page.wait_for_function("root.textContent.includes('correlate by')")
        page.evaluate("model.set('p2', model.get('p1'))")
        page.wait_for_function("root.textContent.includes('no number finds what is not there')")
        page.evaluate("model.set('n', 1000)")
        page.evaluate("cleanUp()")
        assert page.evaluate("[model.listeners(), root.childNodes.length]") == [0, 0]
        assert page.errors == []
