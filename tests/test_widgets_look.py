"""What readers see: colours apart, round discs at every width, numbers that are never cut off."""

import itertools

import numpy as np
import pytest
import traitlets
from browser import blank_page, mount, needs_chromium

from minipi0 import toys
from minipi0.plots import style
from minipi0.widgets import (
    EulerSteps,
    FlowField,
    MaskExplorer,
    Posterior,
    Scribble,
    StraightLine,
    TrialPlanner,
)

NAMES = "NOISE DATA FLOW ONE_STEP REGRESSION GAUSSIAN PATH".split()
DEUTERANOPIA = [  # Machado et al. 2009, on linear RGB
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    lms = [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]
    lab = [
        [0.21045, 0.79362, -0.00407],
        [1.97800, -2.42859, 0.45059],
        [0.02590, 0.78277, -0.80868],
    ]
    return np.array(lab) @ np.cbrt(np.array(lms) @ rgb.clip(0, 1))


def test_colours_are_seen_on_white_and_on_a_dark_theme():
    for name in NAMES:
        light = linear(getattr(style, name)) @ [0.2126, 0.7152, 0.0722] + 0.05
        dark_theme = linear("#111111")[0] + 0.05
        assert 1.05 / light >= 3 and light / dark_theme >= 3, name


@pytest.mark.parametrize("eyes", [np.eye(3), np.array(DEUTERANOPIA)])
def test_any_two_colours_differ_for_red_green_blind_readers_too(eyes):
    seen = {name: oklab(eyes @ linear(getattr(style, name))) for name in NAMES}
    for a, b in itertools.combinations(NAMES, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 0.1, (a, b)  # Okabe and Ito's: 0.019


@needs_chromium
@pytest.mark.parametrize("width", [400, 722, 740, 818, 1400])
def test_nothing_is_stretched_or_cut_off(width):
    widgets = [StraightLine(), FlowField(network=toys.ring().velocity), EulerSteps("ring")]
    widgets += [TrialPlanner(), Scribble(), Posterior(), MaskExplorer(token=3)]
    with blank_page() as page:
        for widget in widgets:
            page.goto("about:blank")
            page.set_viewport_size({"width": width, "height": 900})
            mount(page, widget)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            box = page.locator("canvas").bounding_box()
            assert box["width"] == pytest.approx(box["height"], abs=1)
            for cell in page.locator("td").all():
                cell = cell.bounding_box()
                assert cell["x"] + cell["width"] <= width, type(widget).__name__
        assert page.errors == []


@needs_chromium
def test_a_network_is_offered_for_the_target_that_it_was_trained_on_alone():
    w = FlowField("ring", network=toys.ring().velocity, n_particles=20)
    with blank_page() as page:
        mount(page, w)
        label = page.locator("td").nth(2)
        assert label.inner_text() == "the network's path, in tiny steps, ends at"
        page.get_by_label("target", exact=True).select_option("two_moons")
        page.get_by_text("its exact path ends at").wait_for()
        assert page.evaluate("model.get('field')") == "exact"
        assert not page.get_by_label("field", exact=True).is_visible()
        page.get_by_label("target", exact=True).select_option("ring")
        page.get_by_label("field", exact=True).select_option("network")
        page.get_by_text("in tiny steps").wait_for()
        assert page.errors == []
    w.target = "two_moons"
    assert w.field == "exact"
    with pytest.raises(traitlets.TraitError, match="trained on 'ring'"):
        w.field = "network"
