"""The course as pages: figures/site.py builds them of the stored notebooks."""

import importlib.util
import re
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from browser import blank_page, needs_chromium

FIGURES = Path(__file__).parents[1] / "figures"
NOTEBOOKS = sorted((FIGURES.parent / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def builder():
    """figures/site.py, which shares its name with a module of Python's own."""
    sys.path.insert(0, str(FIGURES))
    spec = importlib.util.spec_from_file_location("figures_site", FIGURES / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(FIGURES))


@pytest.fixture(scope="module")
def site(builder, tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    builder.main(["--out", str(out)])
    return out


@pytest.fixture(scope="module")
def page(site):
    with blank_page() as page:
        page.loaded = []
        page.on("request", lambda request: page.loaded.append(request.url))
        yield page


def test_a_page_for_every_notebook_and_all_of_it_small(site):
    assert {path.stem for path in NOTEBOOKS} | {"index"} == {p.stem for p in site.glob("*.html")}
    assert sum(path.stat().st_size for path in site.rglob("*")) < 40e6


def test_links_lead_somewhere_and_nothing_is_fetched(site):
    pages = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    ids = {path: set(map(unescape, re.findall(r' id="([^"]+)"', t))) for path, t in pages.items()}
    for path, text in pages.items():
        shown = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
        for address in re.findall(r'<(?:script|img|link)[^>]* (?:src|href)="([^"]+)"', shown):
            assert address.startswith("data:") or (path.parent / address).exists(), address[:90]
        for address in map(unescape, re.findall(r'<a [^>]*href="([^"]+)"', shown)):
            if re.match(r"\w+:", address):
                continue
            name, _, anchor = address.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.exists(), f"{path.name} links to {address}"
            assert not anchor or unquote(anchor) in ids[target], f"{path.name} links to {address}"


def test_what_only_guards_is_left_out_and_solutions_are_folded(site):
    for path in NOTEBOOKS:
        text = (site / f"{path.stem}.html").read_text("utf-8")
        for cell in nbformat.read(path, 4).cells:
            tags = cell.metadata.get("tags", [])
            there = re.search(rf'id="cell-{re.escape(cell.id)}">(.{{0,30}})', text)
            assert bool(there) != ("guard" in tags or not cell.source.strip()) or (
                cell.source.startswith("Solution (click")
            )
            assert "solution" not in tags or there[1].startswith("<details><summary>Solution")
        assert "<math" in text or "$" not in "".join(
            cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"
        )


def test_stored_widgets_live_on_the_page():
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, 4).cells:
            for data in (output.get("data", {}) for output in cell.get("outputs", [])):
                dead = "run the notebook to use it" in data.get("text/plain", "")
                assert not dead or "text/html" in data, f"refresh {path.name}: cell {cell.id}"


def test_every_question_has_its_number(builder):
    texts = {path.stem: builder.cell_texts(path) for path in NOTEBOOKS}
    assert len(builder.QUESTIONS) >= 20
    for question in builder.QUESTIONS:
        (name,) = [name for name in texts if name.startswith(question.notebook)]
        assert question.found(texts[name]), (
            f"figures/questions.py: no cell of {name} matches {question.pattern!r} any more: "
            f"say where the answer to {question.asked!r} is now"
        )


def test_colab_needs_the_public_address(builder, tmp_path, capsys):
    builder.Site(tmp_path, NOTEBOOKS[:1], "https://github.com/some/one").build()
    text = (tmp_path / f"{NOTEBOOKS[0].stem}.html").read_text()
    address = "https://colab.research.google.com/github/some/one/blob/main/notebooks/"
    assert address + NOTEBOOKS[0].name in text
    for wrong in (["--repository", "some/one"], []):
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other/mine.txt").write_text("")
        with pytest.raises(SystemExit):
            builder.main(["--out", str(tmp_path / "other"), *wrong])
    assert "choose another" in capsys.readouterr().err


SNAPSHOT = """host => [...host.querySelectorAll("canvas")].map((c) => c.toDataURL()).join()
    + host.innerText + [...host.querySelectorAll("video")].map((v) => v.src + v.currentTime)"""
CONTROLS = "input:not([type=text]):not([hidden]), select, button, [role=slider], .m0-handle"
OPERATE = """node => {
  const BUBBLES = { bubbles: true };
  const tell = (...types) => types.forEach((t) => node.dispatchEvent(new Event(t, BUBBLES)));
  if (node.tagName === "SELECT") {
    if (node.options.length < 2) return false;
    node.selectedIndex = (node.selectedIndex + 1) % node.options.length;
    tell("input", "change");
  } else if (node.type === "range" || node.type === "number") {
    const [low, high] = [+(node.min || 0), +(node.max || 9)];
    node.value = +node.value === high ? low : high;
    tell("input", "change");
  } else if (node.matches(".m0-handle, [role=slider]")) {
    node.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", ...BUBBLES }));
  } else node.click();
  return true;
}"""


def changes(page, host, node, patience: int = 30) -> bool:
    """Whether using a control changes the widget: at once, or after a slider was moved.

    (Whether a cache is kept shows only when a pass has been made.) patience: looks, 30 ms apart.
    """
    for slider in [None, *host.query_selector_all("input[type=range]")]:
        if slider:
            slider.evaluate(OPERATE)
            page.wait_for_timeout(200)
        before = host.evaluate(SNAPSHOT)
        if not node.evaluate(OPERATE):
            return True  # a list with one entry
        for _ in range(patience):
            page.wait_for_timeout(30)
            if host.evaluate(SNAPSHOT) != before:
                return True
    return False


def opened(page, address: str) -> list:
    """The widgets of a page, once all of them are drawn."""
    page.goto(address)
    hosts = page.query_selector_all(".m0-alone")
    if hosts:
        page.wait_for_function(
            "[...document.querySelectorAll('.m0-alone')].every((host) => host.querySelector('.m0'))"
        )
    return hosts


@needs_chromium
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_control_of_a_page_changes_a_picture(site, page, path):
    page.errors.clear()
    page.loaded.clear()
    address, still = (site / f"{path.stem}.html").as_uri(), []
    for number, host in enumerate(opened(page, address)):
        host.scroll_into_view_if_needed()
        page.wait_for_timeout(150)
        for i in range(len(host.query_selector_all(CONTROLS))):
            node = host.query_selector_all(CONTROLS)[i]
            if not node.is_visible() or node.is_disabled():
                continue
            for button in host.query_selector_all("button"):  # all recordings begin alike
                if button.inner_text() == "Step":
                    button.evaluate("button => { for (const _ of Array(9)) button.click(); }")
                    page.wait_for_timeout(300)
            if not changes(page, host, node):
                still.append((number, i))
    dead = []
    for number, i in still:  # what follows a choice that makes it idle, on a fresh page
        host = opened(page, address)[number]
        host.scroll_into_view_if_needed()
        node = host.query_selector_all(CONTROLS)[i]
        if not changes(page, host, node, patience=300):  # a busy machine draws late
            dead.append(node.evaluate("node => node.outerHTML")[:120])
    assert not dead, dead
    assert page.errors == []
    assert [url for url in page.loaded if not url.startswith(("file:", "data:", "blob:"))] == []


LUMINANCE = """colour => {
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""
FAINT = (
    """() => { // code whose colour has a contrast below 4.5 to its ground
  const luminance = LUMINANCE, faint = new Set();
  for (const pre of document.querySelectorAll(".source")) {
    const ground = luminance(getComputedStyle(pre).backgroundColor);
    for (const sign of pre.querySelectorAll("span")) {
      const [low, high] = [ground, luminance(getComputedStyle(sign).color)].sort((a, b) => a - b);
      const text = sign.textContent.trim();
      if (text && (high + 0.05) / (low + 0.05) < 4.5) faint.add(sign.className + ": " + text);
    }
  }
  return [...faint];
}"""
).replace("LUMINANCE", LUMINANCE)


# tables that a window of 1400 pixels does not show whole
SCROLLING = """() => [...document.querySelectorAll("pre.out:not(.tall)")]
  .filter((pre) => pre.scrollWidth > pre.clientWidth + 1 || pre.scrollHeight > pre.clientHeight + 1)
  .map((pre) => pre.textContent.slice(0, 80))"""
# figures whose letters are too small on a telephone, and those that scroll and do not say so
SHRUNK = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return [...document.querySelectorAll(".figure:not(.small)")].filter((figure) => {
    const image = figure.querySelector("img");
    if (!image.checkVisibility()) return false;
    const shown = image.getBoundingClientRect().width;
    return shown < Math.min(700, image.getAttribute("width")) || !figure.matches(".scrolls");
  }).map((figure) => figure.textContent + figure.className);
}"""


@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_can_be_read_and_no_page_is_wider_than_its_window(site, page, theme):
    page.emulate_media(color_scheme=theme)
    for path in sorted(site.glob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate(FAINT) == [], path.name
        for width in (400, 760, 1000, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        assert page.evaluate(SCROLLING) == [], path.name
        page.set_viewport_size({"width": 400, "height": 900})
        assert page.evaluate(SHRUNK) == [], path.name
    page.set_viewport_size({"width": 1400, "height": 900})
    page.emulate_media(color_scheme="light")


def test_what_was_printed_in_a_row_is_one_text_and_only_tables_keep_their_lines(builder):
    cells = sys.modules["cells"]
    one = nbformat.v4.new_output("stream", text="a plain\n")
    other = nbformat.v4.new_output("stream", text="sentence\n")
    assert [joined.text for joined in cells.joined([one, other])] == ["a plain\nsentence\n"]
    assert one.text == "a plain\n"
    assert cells.text("a plain\n") == '<pre class="out prose">a plain\n</pre>'
    table = cells.text("tau     loss")
    assert table == '<div class="fit" style="--signs: 12"><pre class="out">tau     loss</pre></div>'
    code = "    def readout(self):\n        return self.state\n"
    assert f'<pre class="out">{code}</pre>' in cells.text(code)
    refusal = "a camera is missing:\n    refused: " + "the observation has no picture " * 4
    assert cells.text(refusal) == f'<pre class="out prose">{refusal}</pre>'
    sentence = "a sentence below the table breaks " * 9
    assert f'<span class="prose">{sentence}</span>' in cells.text(f"tau     loss\n{sentence}")
    assert 'class="fit broad"' in cells.text("tau     loss" * 20)


@needs_chromium
def test_the_search_finds_a_section(site, page):
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("temporal ensembling")
    first = page.wait_for_selector("#found a")
    assert "ensembling" in first.inner_text()
    first.click()
    page.wait_for_url("**/11_how_many_trials.html#*")
    assert page.errors == []


SPELLINGS = [
    ("τ", "tau"),
    ("ε", "epsilon"),
    ("π0.5", "pi0.5"),
    ("pi05", "pi0.5"),
    ("fine-tuning", "finetuning"),
    ("data set", "dataset"),
    ("normalisation", "normalization"),
    ("colour", "color"),
]


@needs_chromium
def test_the_search_knows_other_spellings(site, page):
    page.goto((site / "index.html").as_uri())
    search = "words => matches(spelled(words.replaceAll('-', ' ')).split(' ')).map((s) => s.page)"
    for one, other in SPELLINGS:
        found = page.evaluate(search, one)
        assert found and found == page.evaluate(search, other), (one, other)
    assert page.evaluate(search, "colab")[-1].startswith("index.html")
    page.fill("#search", "epsilon")
    assert re.search("[εϵ]", page.inner_text("#found small"))


@needs_chromium
def test_a_link_to_a_folded_answer_opens_it(site, page):
    page.goto((site / "02_velocity_targets.html").as_uri())
    opened = "document.querySelector('#cell-replay > details').open"
    assert not page.evaluate(opened)
    page.evaluate("location.hash = '#cell-replay'")  # as a question of the front page does
    page.wait_for_function(opened)


def test_numbers_of_the_front_page_are_said_as_a_text_says_them(builder):
    questions = sys.modules["questions"]
    spoken = {
        "52%": "52 %",
        "0e+00": "0",
        "1e-06": "10⁻⁶",
        "2.5e+03": "2.5 · 10³",
        "-0.16": "−0.16",
    }
    assert {number: questions.spoken(number) for number in spoken} == spoken
    asked = questions.Question("?", "01", r"(\d+%) (\d+%)", "{0} and {1}", plain="both {0}")
    assert asked.found({"a": "50% 60%"}) == ("a", "50 % and 60 %")
    assert asked.found({"a": "50% 50%"}) == ("a", "both 50 %")
