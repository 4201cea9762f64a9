"""The stored notebooks: run in one go, small, nothing of this machine in them, every link leads
somewhere; and what refreshes them.
"""

import ast
import base64
import html
import io
import itertools
import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from minipi0.plots import output

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def markdown(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text()
    return "\n".join(
        cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"
    )


def headings(path: Path) -> set[str]:
    """The anchors that Jupyter makes of a notebook's headings, GitHub of a Markdown file's."""
    found = {
        line.lstrip("#").strip().replace(" ", "-")
        for line in markdown(path).splitlines()
        if line.startswith("#")
    }
    return {anchor.lower() for anchor in found} if path.suffix == ".md" else found


@each
def test_stored_as_one_clean_run(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [one for cell in code for one in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error"]
    assert not [one.text for one in outputs if one.get("name") == "stderr"]
    assert path.stat().st_size < 1_000_000
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@each
def test_stored_outputs_say_what_the_code_says(path):
    # a sentence in a print or a show was changed, and the cell was not run again
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type != "code" or "live-only" in cell.metadata.get("tags", []):
            continue
        stored = "".join(
            o.get("text", "") + o.get("data", {}).get("text/html", "") for o in cell.outputs
        )
        for line in ast.parse(cell.source).body:  # not what stands under an if
            called = line.value if isinstance(line, ast.Expr) else None
            if isinstance(called, ast.Call) and getattr(called.func, "id", "") in ("print", "show"):
                for part in (p for argument in called.args for p in fixed_parts(argument)):
                    notebook, _, name = part.partition("/")
                    said = output.texts().get(notebook, {}).get(name, part)  # show("03/demos")
                    assert said.strip() in html.unescape(stored), (cell.id, part)


def test_every_text_of_a_picture_is_used():
    for notebook, named in output.texts().items():
        (path,) = NOTEBOOKS.glob(f"{notebook}_*.ipynb")
        sources = "".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
        assert [n for n in named if f'show("{notebook}/{n}")' not in sources] == []


@each
def test_no_guess_has_its_answer_in_the_code_below(path):
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    for guess, answer in itertools.pairwise(cells):
        if guess.source.startswith("Guess("):
            for call in ast.walk(ast.parse(answer.source)):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "show":
                    told = call.args[0]  # what is computed may stand there, a finished sentence not
                    most = 170 if isinstance(told, ast.JoinedStr) else 100
                    assert all(len(part) < most for part in fixed_parts(told)), answer.id


def fixed_parts(node):
    """The parts of a text that do not depend on a value."""
    if isinstance(node, ast.JoinedStr):
        return [text for part in node.values for text in fixed_parts(part)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


@each
def test_names_no_machine(path):
    assert not re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users)/[\w.-]+", path.read_text())


@each
def test_camera_frames_are_not_stored(path):
    for cell in nbformat.read(path, 4).cells:
        if "live-only" in cell.metadata.get("tags", []):
            assert cell.outputs == [], cell.id


@each
def test_solutions_are_folded_and_answers_left_open(path):
    cells = nbformat.read(path, 4).cells
    solutions = [cell for cell in cells if "solution" in cell.metadata.get("tags", [])]
    assert len(solutions) >= 3
    for cell in solutions:
        assert cell.metadata.get("jupyter", {}).get("source_hidden"), cell.id
        assert "check(" in cell.source and ", solution=True)" in cell.source, cell.id
        before = cells[cells.index(cell) - 1]
        assert before.source == "Solution (click the bar to unfold)", cell.id
    assert "not tried yet" in str([cell.get("outputs") for cell in cells])


@pytest.mark.parametrize(
    "path", [*PATHS, NOTEBOOKS.parent / "README.md"], ids=lambda path: path.stem
)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", markdown(path)):
        if target.startswith(("http", "attachment:")):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), f"{path.name} links to {target}, which is not there"
        if anchor and file.suffix in (".ipynb", ".md"):
            assert anchor in headings(file), (
                f"{path.name} links to {target}, but {file.name} has no such heading"
            )


def test_readme_lists_every_notebook():
    readme = (NOTEBOOKS.parent / "README.md").read_text()
    assert [path.name for path in PATHS if f"notebooks/{path.name})" not in readme] == []


def test_refresh_keeps_the_old_file_when_a_cell_fails(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(NOTEBOOKS)
    import refresh

    monkeypatch.setattr(refresh, "HERE", tmp_path)
    frame = nbformat.v4.new_code_cell("'a camera frame'", metadata={"tags": ["live-only"]})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)"), frame])
    path = tmp_path / "small.ipynb"
    nbformat.write(notebook, path)
    refresh.refresh(path)
    stored = nbformat.read(path, 4)
    assert stored.cells[0].outputs[0].text == "42\n" and stored.cells[1].outputs == []
    assert [cell.execution_count for cell in stored.cells] == [1, 2]

    stored.cells[0].source = "1 / 0"
    nbformat.write(stored, path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        refresh.refresh(path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.ipynb"]
    sys.modules.pop("refresh", None)


def test_refresh_packs_a_drawing_and_keeps_a_photograph(monkeypatch):
    monkeypatch.syspath_prepend(NOTEBOOKS)
    import refresh

    def packed(pixels):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        png = base64.b64encode(file.getvalue()).decode()
        again = refresh.smaller(png)
        found = Image.open(io.BytesIO(base64.b64decode(again))).convert("RGB")
        return len(again) / len(png), np.abs(np.array(found).astype(int) - pixels).max()

    rows, columns = np.mgrid[:200, :200]
    levels = (((rows + columns) % 100)[..., None] * [2, 1, 2]).astype(np.uint8)
    size, off = packed(levels)
    assert size < 1 and off <= 2
    photograph = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert packed(photograph)[1] == 0
    sys.modules.pop("refresh", None)
