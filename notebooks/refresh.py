"""Run notebooks top to bottom and store them executed, clean and small:  python
notebooks/refresh.py [NAME.ipynb ...]

Without names it takes all of them. A notebook is written only when every cell ran. A cell tagged
`live-only` keeps no output (camera frames of downloaded data sets are shown live, not stored), and
nothing stored names this machine. Pictures are packed smaller.
"""

import argparse
import base64
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from minipi0.plots.output import packed

HERE = Path(__file__).resolve().parent


def refresh(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    start = time.monotonic()
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        coalesce_streams=True,  # else prints are cut into outputs by chance
        resources={"metadata": {"path": str(HERE)}},
    ).execute()
    notebook.metadata.pop(
        "widgets", None
    )  # a widget's live state; its static twin stands beside it
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        if "live-only" in cell.metadata.get("tags", []):
            cell.outputs = []
        cell.outputs = [output for output in map(clean, cell.outputs) if output]
    text = nbformat.writes(notebook) + "\n"
    for folder in (
        str(HERE.parent),
        str(Path.home()),
        sys.prefix,
        os.environ.get("MINIPI0_DATA") or str(HERE),
    ):
        if folder in text:
            raise SystemExit(f"{path.name}: an output names this machine's {folder}")
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as new:
        new.write(text)
    os.chmod(new.name, 0o644)
    os.replace(new.name, path)
    print(f"{path.name}: {time.monotonic() - start:.0f} s, {path.stat().st_size / 1e3:.0f} kB")


def clean(output):
    """Progress bars and widget views mean nothing without their kernel: keep their text, or
    nothing.
    """
    data = output.get("data", {})
    data.pop("application/vnd.jupyter.widget-view+json", None)
    if "image/png" in data:
        data["image/png"] = smaller(data["image/png"])
    text_only = data["text/plain"] if list(data) == ["text/plain"] else ""
    if output.output_type in ("display_data", "execute_result") and (
        not data or "Widget" in text_only or "%|" in text_only
    ):
        return None
    if output.output_type == "stream" and output.name == "stderr":
        return None if "%|" in output.text else output
    return output


def smaller(png: str) -> str:
    """A base64 PNG packed anew where that makes it smaller (`plots.show` has packed its own)."""
    again = packed(Image.open(io.BytesIO(base64.b64decode(png))))
    return min(png, base64.b64encode(again).decode(), key=len)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="notebooks, by default all")
    for name in parser.parse_args().names or sorted(p.name for p in HERE.glob("*.ipynb")):
        refresh(HERE / Path(name).name)
