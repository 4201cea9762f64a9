"""What readers see: round discs at every width, numbers that are never cut off."""

import pytest
import traitlets
from browser import blank_page, mount, needs_chromium

from minipi0 import toys
from minipi0.widgets import (
    EulerSteps,
    FlowField,
    MaskExplorer,
    Posterior,
    Scribble,
    StraightLine,
    TrialPlanner,
)


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


@needs_chromium
@pytest.mark.parametrize("widget", [StraightLine, EulerSteps, TrialPlanner, Scribble, MaskExplorer])
def test_controls_stand_beside_the_picture_and_are_large_enough(widget):
    with blank_page() as page:
        page.set_viewport_size({"width": 640, "height": 900})
        mount(page, widget())
        plane, side = (page.locator(name).bounding_box() for name in (".m0-plane", ".m0-side"))
        assert side["x"] >= plane["x"] + plane["width"] and side["y"] == plane["y"]
        for control in page.locator(".m0 :is(select, button, label)").all():
            assert control.bounding_box()["height"] >= 24
        for slider in page.locator("input[type=range]").all():
            assert slider.bounding_box()["width"] > 150  # a hundred values of tau
        assert page.errors == []


@needs_chromium
def test_a_swipe_over_a_slider_scrolls_the_page_and_leaves_the_slider():
    with blank_page(has_touch=True, is_mobile=True) as page:
        mount(page, StraightLine())
        page.evaluate("document.body.style.padding = '300px 0 2000px'")
        slider = page.get_by_role("slider", name="τ").bounding_box()
        x, y = slider["x"] + 0.9 * slider["width"], slider["y"] + slider["height"] / 2
        touch = page.context.new_cdp_session(page)
        send = lambda kind, points: touch.send(  # noqa: E731
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
        )
        before = page.evaluate("model.get('tau')")
        send("touchStart", [{"x": x, "y": y}])
        for up in range(15, 151, 15):
            send("touchMove", [{"x": x, "y": y - up}])
            page.wait_for_timeout(30)
        send("touchEnd", [])
        page.wait_for_function("scrollY > 50")
        assert page.evaluate("model.get('tau')") == before
        assert page.errors == []
