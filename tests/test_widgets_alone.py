"""The widgets without a kernel: on an exported page, and in JupyterLab after a reload."""

import nbformat
from browser import KERNEL, blank_page, needs_chromium, run_all
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from test_widgets_lab import lab  # noqa: F401

from minipi0.widgets import FlowField, Guess, StraightLine

LIVE_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGETS = [
    "StraightLine(tau=0.25)",
    "EulerSteps()",
    "FlowField(network=toys.ring().velocity, tau=0.5)",
    "TrialPlanner()",
    "Guess('How far?', unit='cm')",
]


@needs_chromium
def test_an_exported_page_keeps_every_widget_alive(tmp_path):
    cells = ["from minipi0 import toys\nfrom minipi0.widgets import *", *WIDGETS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, **KERNEL).execute()
    for cell in notebook.cells:  # as notebooks/refresh.py stores it
        for output in cell.outputs:
            output.data.pop(LIVE_VIEW, None)
        cell.outputs = [o for o in cell.outputs if "Widget" not in o.data["text/plain"]]
        assert [list(o.data) for o in cell.outputs] in ([], [["text/html", "text/plain"]])
    page_file = tmp_path / "page.html"
    page_file.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    with blank_page() as page:
        page.goto(page_file.as_uri())
        page.wait_for_function(f"document.querySelectorAll('.m0').length === {len(WIDGETS)}")
        for i, shown in enumerate(page.locator(".m0").all()):
            assert shown.is_visible()
            if "Guess" in WIDGETS[i]:
                shown.locator("input").fill("3")
                assert "Your guess: 3 cm" in shown.inner_text()
                continue
            picture = f"document.querySelectorAll('.m0')[{i}].querySelector('canvas').toDataURL()"
            numbers = f"document.querySelectorAll('.m0')[{i}].querySelector('td + td')"
            page.wait_for_function(f"{numbers}.textContent")  # drawn
            before = page.evaluate(picture)
            shown.locator("input[type=range]").first.press("ArrowRight")
            page.wait_for_function(f"before => {picture} !== before", arg=before)
        field = page.get_by_label("field", exact=True)
        assert field.input_value() == "network"
        page.reload()
        page.get_by_text("Your guess: 3 cm").wait_for()  # the browser keeps it
        # nbconvert's own scripts come from a CDN that is not there; the widgets need none of them
        assert [e for e in page.errors if "net::ERR" not in e and "require" not in e] == []


def test_what_a_page_without_scripts_shows():
    html = Guess("Is 1 < 2?", ["yes", "no"]).standalone()
    words = html[: html.index("<script>")]
    assert "Is 1 &lt; 2?<br>- yes<br>- no" in words
    assert "run the notebook to use it" in StraightLine().standalone()
    assert len(FlowField().standalone()) < 30_000  # a notebook stores it


@needs_chromium
def test_in_jupyterlab_a_widget_outlives_its_kernel(lab):  # noqa: F811
    cells = ["from minipi0.widgets import Guess, StraightLine\nStraightLine(tau=0.5)"]
    with blank_page() as page:
        run_all(page, lab, cells)
        shown = page.locator(".m0:visible")
        shown.first.wait_for()
        page.wait_for_timeout(500)
        assert shown.count() == 1 and page.locator(".m0-alone .m0").count() == 0
        page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
        url, root = lab
        stored = nbformat.read(root / "widgets.ipynb", 4)
        assert LIVE_VIEW in stored.cells[0].outputs[0].data
        page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
        page.goto("about:blank")
        page.goto(f"{url}/lab/tree/widgets.ipynb")
        alone = page.locator(".m0-alone .m0")
        alone.wait_for()
        assert alone.is_visible()
        assert not page.get_by_text("Error displaying widget").is_visible()
        slider = alone.locator("input[type=range]")
        assert slider.input_value() == "0.5"
        slider.press("ArrowRight")
        assert slider.input_value() == "0.51"
        cell = alone.locator("td").first  # JupyterLab sets numbers of stored tables to the right
        assert cell.evaluate("cell => getComputedStyle(cell).textAlign") == "left"
