"""Build the course as pages that need no installation:  python figures/site.py --out site

The pages are made of the notebooks as they are stored, and hold everything they need: open
site/index.html from the disk, or put the folder on any web server. Nothing is fetched.
"""

import argparse
import json
import re
import shutil
from html import escape
from pathlib import Path

from cells import COLOURS, DARK, Section, cell_texts, page, plain
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from pygments import highlight
from pygments.lexers import PythonLexer
from questions import QUESTIONS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NOTEBOOKS = ROOT / "notebooks"
COLAB = "https://colab.research.google.com/github/{}/blob/main/notebooks/{}"


class Site:
    """The pages of one build.

    out: the folder to fill. notebooks: the notebooks, in their order. repository: the public
    address, https://github.com/OWNER/NAME, from which Colab fetches the notebooks; without it the
    pages have no Colab link.
    """

    def __init__(self, out: Path, notebooks: list[Path], repository: str | None = None):
        self.out, self.notebooks, self.repository = Path(out), notebooks, repository
        environment = Environment(
            loader=FileSystemLoader(HERE / "page"), undefined=StrictUndefined, autoescape=True
        )
        self.template = environment.get_template("page.html")
        self.copied: dict[str, Path] = {}  # address on the site -> file of the repository
        self.found: list[dict] = []  # for the search

    def build(self) -> None:
        """Write all pages, and what they need."""
        self.out.mkdir(parents=True, exist_ok=True)
        made = [(path, *page(path, self.link)) for path in self.notebooks]
        self.menu = [
            {"name": f"{path.stem}.html", "title": sections[0].title, "sections": sections}
            for path, _, sections in made
        ]
        for path, body, sections in made:
            self.write(f"{path.stem}.html", sections[0].title, body, path.name)
            for section in sections:
                self.index(sections[0].title, section, f"{path.stem}.html#{section.anchor}")
        self.write("index.html", "minipi0", self.front())
        for address, file in self.copied.items():
            self.copy(address, file)
        style = (HERE / "page/page.css").read_text("utf-8")
        dark = DARK.get_style_defs('[data-theme="dark"] .source')
        dark = [line for line in dark.splitlines() if ".source ." in line]  # the signs, no page
        self.save("page.css", "\n".join([COLOURS.get_style_defs(".source"), *dark, style]))
        self.save("page.js", (HERE / "page/page.js").read_text("utf-8"))
        self.save("search.js", f"const SEARCH = {json.dumps(self.found, ensure_ascii=False)};")

    def write(self, name: str, title: str, body: str, notebook: str | None = None) -> None:
        """Write one page. notebook: the file name of the notebook it shows."""
        colab = None
        if notebook and self.repository:
            colab = COLAB.format(self.repository.removeprefix("https://github.com/"), notebook)
        menu = [entry | {"here": entry["name"] == name} for entry in self.menu]
        at = [i for i, entry in enumerate(menu) if entry["here"]]
        after = menu[at[0] + 1] if at and at[0] + 1 < len(menu) else None
        up = "../" * name.count("/")
        told = dict(title=title, body=body, menu=menu, after=after, up=up, colab=colab)
        self.save(name, self.template.render(**told, repository=self.repository))

    def front(self) -> str:
        """The index page's inner part: what the course is, and the questions with their numbers."""
        texts = {path.stem: cell_texts(path) for path in self.notebooks}
        front = (HERE / "page/front.html").read_text("utf-8")
        parts = [front.replace("SCRIBBLES", (HERE / "scribbles.svg").read_text("utf-8"))]
        parts.append("<h2>The notebooks</h2><ul>")
        for entry in self.menu:
            first = next(iter(texts[entry["name"].removesuffix(".html")].values()))
            asked = re.search(r"\*\*The question:\*\* (.+)", first)
            said = re.sub(r"[*`]", "", asked[1]) if asked else ""
            said = said if said.startswith("π") else said[:1].upper() + said[1:]
            said = f" <span class='note'>{escape(said)}</span>"
            parts.append(f'<li><a href="{entry["name"]}">{escape(entry["title"])}</a>{said}</li>')
        parts.append('</ul><h2 id="questions">What readers ask, and where it is measured</h2><ol>')
        for question in QUESTIONS:
            name = next((name for name in texts if name.startswith(question.notebook)), None)
            if name is None:  # a build of some notebooks
                continue
            found = question.found(texts[name])
            address = f"{name}.html" + (f"#cell-{found[0]}" if found else "")
            answer = f" <span>{escape(found[1])}</span>" if found else ""
            parts.append(f'<li><a href="{address}">{escape(question.asked)}</a>{answer}</li>')
            section = Section(question.asked, address, 2, [found[1]] if found else [])
            self.index("What readers ask", section, address)
        run = re.search(r'<p id="run">(.+)</p>', front)
        section = Section("Run and change the code", "run", 2, [plain(run[1])])
        self.index("minipi0", section, "index.html#run")
        return "\n".join([*parts, "</ol>"])

    def link(self, target: str) -> str:
        """The page's address of what a notebook links to.

        A notebook becomes its page, a file of the repository a page or a copy.
        """
        name, mark, anchor = target.partition("#")
        if not name or re.match(r"\w+:", name):
            return target
        if name.endswith(".ipynb") and "/" not in name:
            return f"{name.removesuffix('.ipynb')}.html{mark}{anchor}"
        file = (NOTEBOOKS / name).resolve()
        address = f"files/{file.relative_to(ROOT).as_posix()}"
        if file.suffix in (".py", ".md"):
            address += ".html"
        self.copied[address] = file
        return address + mark + anchor

    def copy(self, address: str, file: Path) -> None:
        """Put a file of the repository beside the pages: text as a page, all else as it is."""
        if file.suffix == ".py":
            body = highlight(file.read_text("utf-8"), PythonLexer(), COLOURS)
        elif file.suffix == ".md":
            body = markdown2html_mistune(file.read_text("utf-8"))
        else:
            (self.out / address).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, self.out / address)
            return
        self.write(address, file.name, f"<h1>{file.relative_to(ROOT).as_posix()}</h1>{body}")

    def index(self, notebook: str, section: Section, page: str) -> None:
        """Let the search find a section of a notebook at its address on the site."""
        entry = {"page": page, "notebook": notebook, "title": section.title}
        self.found.append(entry | {"text": " ".join(section.text)})

    def save(self, name: str, text: str) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the file's first lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder for the pages")
    parser.add_argument("--repository", help="https://github.com/OWNER/NAME, for Colab's links")
    given = parser.parse_args(arguments)
    if given.repository and not re.fullmatch(
        r"https://github\.com/[\w.-]+/[\w.-]+", given.repository
    ):
        parser.error(f"--repository is https://github.com/OWNER/NAME, not {given.repository}")
    if given.out.exists() and not (given.out / "search.js").exists() and any(given.out.iterdir()):
        parser.error(f"{given.out} is not empty and was not made by this command: choose another")
    Site(given.out, sorted(NOTEBOOKS.glob("*.ipynb")), given.repository).build()
    size = sum(path.stat().st_size for path in given.out.rglob("*") if path.is_file())
    print(
        f"{given.out}/index.html: {len(list(given.out.glob('*.html')))} pages, {size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
