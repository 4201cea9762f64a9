// The search, the theme's button, the section that is being read, folded parts, and what scrolls.

const field = document.querySelector("#search"), found = document.querySelector("#found");
const menu = document.querySelector("#menu"), up = field.dataset.up;

// other spellings are brought to one, in the texts and in what is typed
const SPELLINGS = [[/[\u00ad\u2010-\u2013-]/g, ""], [/τ/g, "tau"], [/[εϵ]/g, "epsilon"], [/\beps\b/g, "epsilon"],
  [/σ/g, "sigma"], [/θ/g, "theta"], [/π(?=[0₀])/g, "pi"], [/pi ?zero|pi₀/g, "pi0"], [/pi0(?=5)/g, "pi0."],
  [/data (?=sets?\b)/g, "data"], [/fine (?=tun)/g, "fine"], [/check (?=points?\b)/g, "check"],
  [/z/g, "s"], [/ou(?=r|\b)/g, "o"], [/(?<=cen|me)tre/g, "ter"], [/ll/g, "l"], [/grey/g, "gray"], [/artefact/g, "artifact"]];
const spelled = (text) => SPELLINGS.reduce((t, [other, one]) => t.replace(other, one), text.toLowerCase());
let sections; // made when the search is first used

function prepared() {
  return sections ??= SEARCH.map((section) => ({ ...section, head: spelled(section.title), spelled: spelled(section.text) }));
}

// the sections with all words, the best first
function matches(words) {
  const scored = [];
  for (const section of prepared()) {
    let score = 0;
    for (const word of words) {
      const here = 5 * section.head.includes(word) + section.spelled.includes(word);
      if (!here) { score = 0; break; }
      score += here;
    }
    if (score) scored.push([score, section]);
  }
  return scored.sort((a, b) => b[0] - a[0]).slice(0, 12).map(([, section]) => section);
}

function excerpt(text, word) {
  const place = spelled(text).indexOf(word);
  let low = 0, high = text.length; // the sign of the text that is written at this place
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spelled(text.slice(0, middle)).length <= place) low = middle + 1; else high = middle;
  }
  const at = Math.max(0, low - 41);
  return (at ? "… " : "") + text.slice(at, at + 110) + " …";
}

field.addEventListener("input", () => {
  const words = spelled(field.value.replace(/[-\u2010-\u2013]/g, " ")).split(/\s+/).filter(Boolean);
  found.hidden = !words.length;
  menu.hidden = !!words.length;
  found.replaceChildren(...matches(words).map((section) => {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = up + section.page;
    link.textContent = section.title;
    const where = document.createElement("small");
    where.textContent = section.notebook + ": " + excerpt(section.text, words[0]);
    item.append(link, where);
    return item;
  }));
  if (words.length && !found.children.length) found.textContent = "No section has all of these words.";
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, button, [tabindex]");
  if (event.key === "/" && !typing) { event.preventDefault(); field.focus(); }
  if (event.key === "Escape" && event.target === field) { field.value = ""; field.dispatchEvent(new Event("input")); }
});

const root = document.documentElement;
function paint() { // widgets look at the body's attributes when they choose their colours
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.style.colorScheme = dark ? "dark" : "light";
  document.body.dataset.theme = dark ? "dark" : "light";
}
document.querySelector("#theme").addEventListener("click", () => {
  root.dataset.theme = document.body.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.theme = root.dataset.theme; } catch { /* a page that may not store: for this visit only */ }
  paint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
paint();

const links = new Map([...menu.querySelectorAll("ul a")].map((a) => [decodeURIComponent(a.hash.slice(1)), a]));
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    for (const link of links.values()) link.classList.remove("reading");
    links.get(target.id).classList.add("reading");
  }
}, { rootMargin: "0px 0px -75% 0px" });
for (const id of links.keys()) { const heading = document.getElementById(id); if (heading) watcher.observe(heading); }

// a link into a folded part, or to a cell with one, opens it
function unfold() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const within = target.matches(".cell.code") ? [...target.querySelectorAll(":scope > details")] : [];
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") within.push(node);
  const closed = within.filter((part) => !part.open);
  for (const part of closed) part.open = true;
  if (closed.length) target.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();

// what is wider than its place says that it scrolls, and the keyboard reaches it
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const wider = target.scrollWidth > target.clientWidth + 1;
    target.classList.toggle("scrolls", wider);
    if (wider) target.tabIndex = 0; else target.removeAttribute("tabindex");
  }
});
for (const part of document.querySelectorAll(".figure, .wide, .fit pre")) sizes.observe(part);
