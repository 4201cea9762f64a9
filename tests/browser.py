"""A page in headless Chromium, and a widget on it, for the widgets' tests."""

import base64
import contextlib
import shutil

import nbformat
import pytest

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
LIMIT = 120_000  # ms: machines under test are busy
KERNEL = {"kernel_name": "python3", "startup_timeout": 180, "timeout": 300}  # for NotebookClient

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
        options = dict(executable_path=CHROMIUM, args=FLAGS, timeout=LIMIT)
        browser = playwright.chromium.launch(**options)
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


def run_all(page, lab, cells: list[str]) -> None:
    """Open a notebook of these code cells in JupyterLab and run all of them.

    lab: the address of a JupyterLab, and the folder that it serves.
    """
    url, root = lab
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata.kernelspec = kernel  # or JupyterLab asks which
    nbformat.write(notebook, root / "widgets.ipynb")
    page.goto(f"{url}/lab/tree/widgets.ipynb")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    status = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"
    page.wait_for_function(f"{status} === 'idle'")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
