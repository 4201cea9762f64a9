"""A stored notebook as HTML: Markdown with formulas as MathML, code, outputs, folded solutions."""

import re
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert.filters.ansi import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

LEFT_OUT = "guard"  # the tag of cells that only keep a number true
UNFOLD = "Solution (click the bar to unfold)"  # in JupyterLab; on the page the bar has a text
COLOURS = HtmlFormatter(cssclass="source")
DARK = HtmlFormatter(cssclass="source", style="one-dark")
TABLE = re.compile(r"\S {3,}\S")  # columns in plain text
INDENTED = re.compile(r"^ {2,}\S", re.MULTILINE)
CODE = 100  # signs: printed code has no longer lines, an indented sentence may have
COLUMN = 115  # signs of 13 pixels that fit into the text's column
TALL = 50  # lines
SMALL = 480  # pixels: a picture that a telephone's screen does not shrink much


@dataclass
class Section:
    """A heading and what stands below it, for the sidebar and the search.

    title: its text. anchor: its id on the page. level: 1 is the notebook's title. text: plain.
    """

    title: str
    anchor: str
    level: int
    text: list[str] = field(default_factory=list)


class Renderer(IPythonRenderer):
    """Markdown's parts as HTML; formulas become MathML, which browsers draw without a script.

    link: function that gives the page's address of a link's target.
    sections: filled with the headings met.
    """

    def __init__(self, link, sections: list[Section]):
        super().__init__(escape=False)
        self.link_of, self.sections = link, sections

    def heading(self, text: str, level: int, **attrs) -> str:
        title = plain(text)
        anchor = title.replace(" ", "-")
        if anchor in {section.anchor for section in self.sections}:
            anchor += f"-{len(self.sections)}"
        self.sections.append(Section(title, anchor, level))
        mark = f'<a class="anchor" href="#{escape(anchor)}" aria-label="link to this section">#</a>'
        return f'<h{level} id="{escape(anchor)}">{text} {mark}</h{level}>\n'

    def inline_math(self, body: str) -> str:
        return convert(body)

    def block_math(self, body: str) -> str:
        return f'<div class="formula">{convert(body, display="block")}</div>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return f'<a href="{escape(self.link_of(url))}">{text}</a>'

    def table(self, text: str) -> str:
        return f'<div class="wide"><table>{text}</table></div>\n'


def plain(html: str) -> str:
    """The text of a piece of HTML, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def page(path: Path, link) -> tuple[str, list[Section]]:
    """A notebook's HTML and its sections.

    path: of the notebook. link: as for Renderer.
    """
    sections: list[Section] = []
    markdown = MarkdownWithMath(renderer=Renderer(link, sections))
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        tags = cell.metadata.get("tags", [])
        if LEFT_OUT in tags or not cell.source.strip() or cell.source.startswith(UNFOLD):
            continue
        if cell.cell_type == "markdown":
            inner = markdown.render(cell.source)
            if sections:
                sections[-1].text.append(plain(re.sub(r"<h\d.*?</h\d>", "", inner)))
        elif cell.cell_type == "code":
            inner = code_cell(cell, tags)
        else:
            continue
        parts.append(
            f'<section class="cell {cell.cell_type}" id="cell-{cell.id}">{inner}</section>'
        )
    return "\n".join(parts), sections


def cell_texts(path: Path) -> dict[str, str]:
    """What a notebook's cells say, {id: outputs, then source}; those that a page leaves out not."""
    texts = {}
    for cell in nbformat.read(path, as_version=4).cells:
        said = [one.get("text", "") for one in cell.get("outputs", [])]
        if LEFT_OUT not in cell.metadata.get("tags", []):
            texts[cell.id] = "".join([*said, cell.source])
    return texts


def code_cell(cell, tags) -> str:
    """A code cell: its source and its outputs, folded where the notebook folds them."""
    state = cell.metadata.get("jupyter", {})
    source = highlight(cell.source, PythonLexer(), COLOURS)
    outputs = "".join(map(output, joined(cell.outputs)))
    if outputs and re.match(r"(\w+ = )?Guess\(", cell.source):
        return outputs  # the question says all of it
    if "solution" in tags:
        title = re.match(r"# (Solution[^\n]*)", cell.source)
        return folded(title[1] if title else "Solution", source + outputs)
    if state.get("source_hidden"):
        source = folded("Code", source)
    if outputs and state.get("outputs_hidden"):
        outputs = folded("Show the answer", outputs)
    if "live-only" in tags and not outputs:
        outputs = "<p class='note'>What this cell shows needs a running notebook.</p>"
    return source + outputs


def folded(title: str, inner: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"


def joined(outputs) -> list:
    """Stored outputs, with texts that were printed one after the other as one."""
    whole = []
    for one in outputs:
        if whole and one.output_type == whole[-1].output_type == "stream":
            whole[-1] = nbformat.from_dict(whole[-1] | {"text": whole[-1].text + one.text})
        else:
            whole.append(one)
    return whole


def text(said: str) -> str:
    """A text as HTML: its lines break where the page ends, those of a table or of code do not.

    A table that is wider than the page gets smaller signs, before it scrolls. A sentence below a
    table breaks as ever.
    """
    lines = said.splitlines()
    tall = " tall" if len(lines) > TALL else ""
    indented = INDENTED.search(said) and max(map(len, lines)) <= CODE
    kept = [len(line) for line in lines if TABLE.search(line) or INDENTED.match(line)]
    if not (indented or TABLE.search(said)):
        return f'<pre class="out prose{tall}">{escape(said)}</pre>'
    signs = max(kept)
    broad = " broad" if signs > COLUMN else ""
    inner = "\n".join(
        f'<span class="prose">{escape(line)}</span>' if len(line) > signs else escape(line)
        for line in said.split("\n")
    )
    pre = f'<pre class="out{tall}">{inner}</pre>'
    return f'<div class="fit{broad}" style="--signs: {signs}">{pre}</div>'


def output(one) -> str:
    """A stored output as HTML."""
    if one.output_type == "stream":
        return text(strip_ansi(one.text))
    data, alt = one.get("data", {}), one.get("metadata", {}).get("alt", "")
    if "text/html" in data:
        html = data["text/html"]
        width = re.match(r'<img [^>]*\bwidth="(\d+)"', html)
        small = " small" if width and int(width[1]) <= SMALL else ""
        return f'<div class="out{" figure" if width else ""}{small}">{html}</div>'
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f'<img class="out" alt="{escape(alt)}" src="data:{kind};base64,{data[kind]}">'
    if "image/svg+xml" in data:
        return f'<div class="out">{data["image/svg+xml"]}</div>'
    return text(data["text/plain"]) if "text/plain" in data else ""
