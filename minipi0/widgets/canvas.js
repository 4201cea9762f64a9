// What all widgets share: a plane to draw on, points to drag, native controls, and state that follows to Python.
// Python puts this text in front of each widget's own file, and before it dom.js and the constants COLOUR and EXTENT of
// plots/style.py (what a colour means; the plane is shown from -EXTENT to EXTENT) and MOST_DOTS.
// The model holds all state; whatever changes it asks for a redraw, and the next animation frame draws everything anew.

// One view of a widget. `draw(view)` is called at most once a frame, after `view.redraw()`.
function openView(model, el, { label, draw }) {
  const root = element(el, "div", { class: "m0" });
  const plane = element(root, "div", { class: "m0-plane" });
  const canvas = element(plane, "canvas", { role: "img", "aria-label": label });
  const side = element(root, "div", { class: "m0-side" });
  const view = { model, root, plane, canvas, side, ctx: canvas.getContext("2d"), onClose: [], places: [],
    centre: [0, 0], extent: EXTENT, // the part of the plane that is shown
    hover: null, held: false }; // where the mouse is, in the plane; whether a handle is being dragged
  let frame = 0;

  view.redraw = () => { frame ||= requestAnimationFrame(paint); };
  function paint() {
    frame = 0;
    const size = canvas.clientWidth, dpr = window.devicePixelRatio || 1;
    if (!size) return; // hidden: the ResizeObserver calls again
    if (canvas.width !== Math.round(size * dpr)) canvas.width = canvas.height = Math.round(size * dpr);
    view.size = size;
    view.ink = getComputedStyle(root).color; // the theme's text colour
    view.ctx.setTransform(dpr, 0, 0, dpr, 0, 0); // draw in CSS pixels, sharp on any screen
    view.ctx.clearRect(0, 0, size, size);
    for (const place of view.places) place();
    draw(view);
  }

  // plane coordinates (centre - extent … centre + extent, second axis up) <-> pixels
  view.px = ([x, y]) => [((x - view.centre[0]) / view.extent + 1) * view.size / 2, (1 - (y - view.centre[1]) / view.extent) * view.size / 2];
  view.at = (event) => {
    const box = canvas.getBoundingClientRect();
    const [right, down] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return view.inside([view.centre[0] + (2 * right - 1) * view.extent, view.centre[1] + (1 - 2 * down) * view.extent]);
  };
  view.inside = (point, limit = 0.97 * EXTENT) => point.map((c, i) => {
    const [low, high] = [-1, 1].map((side) => Math.max(-limit, Math.min(limit, view.centre[i] + side * 0.97 * view.extent)));
    return Math.round(Math.max(low, Math.min(high, c)) * 100) / 100;
  });

  // Set traits, and tell Python at once: ipywidgets holds back what a busy kernel cannot take, and only then knows which of
  // the kernel's echoes are old. (An echo of a value from 100 ms ago would throw a moving tau back.)
  view.set = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  };
  view.on = (target, event, listener) => { // a listener that goes when the view goes
    const [add, remove] = target === model ? ["on", "off"] : ["addEventListener", "removeEventListener"];
    target[add](event, listener);
    view.onClose.push(() => target[remove](event, listener));
  };

  keepKeys(root);
  view.on(canvas, "pointermove", (event) => { view.hover = event.pointerType === "touch" ? null : view.at(event); view.redraw(); });
  view.on(canvas, "pointerleave", () => { view.hover = null; view.redraw(); });
  view.on(model, "change", view.redraw);
  view.on(window.matchMedia("(prefers-color-scheme: dark)"), "change", view.redraw);
  view.on(window, "resize", view.redraw); // also a change of zoom
  const theme = new MutationObserver(view.redraw); // JupyterLab and others name their theme in attributes of the body
  theme.observe(document.body, { attributes: true });
  const size = new ResizeObserver(view.redraw);
  size.observe(canvas);
  view.close = () => {
    cancelAnimationFrame(frame);
    theme.disconnect();
    size.disconnect();
    for (const undo of view.onClose) undo();
    root.remove();
  };
  view.redraw();
  return view;
}

// A point that is dragged with the mouse or moved with arrow keys (Shift: finer). trait: a name of a pair in the model.
function addHandle(view, { trait, name, colour, limit }) {
  const { model } = view, most = limit ?? 0.97 * EXTENT;
  const node = element(view.plane, "div", { class: "m0-handle", role: "slider", tabindex: 0, "aria-roledescription": "point in the plane",
    "aria-label": `${name}: arrow keys move it, Shift for small steps`, "aria-valuemin": -most, "aria-valuemax": most });
  node.title = `${name}: drag it, or focus it and use the arrow keys`;
  node.style.background = colour;
  const move = (point) => view.set({ [trait]: view.inside(point, limit) });
  let held = false;
  node.addEventListener("pointerdown", (event) => { held = view.held = event.button === 0; if (held) node.setPointerCapture(event.pointerId); });
  node.addEventListener("pointermove", (event) => { if (held) move(view.at(event)); });
  for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, () => { held = view.held = false; view.redraw(); });
  node.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault(); // no scrolling
    const [x, y] = model.get(trait), step = event.shiftKey ? 0.02 : 0.1;
    move([x + way[0] * step, y + way[1] * step]);
  });
  view.places.push(() => {
    const [left, top] = view.px(model.get(trait));
    Object.assign(node.style, { left: `${left}px`, top: `${top}px` });
    node.setAttribute("aria-valuenow", model.get(trait)[0]);
    node.setAttribute("aria-valuetext", pair(model.get(trait)));
  });
  return node;
}

// A point chosen in the plane: the mouse (or a pen) clicks or drags; a finger taps, since its swipes scroll the page.
function onPlane(view, move) {
  let held = false;
  view.on(view.canvas, "pointerdown", (event) => {
    held = event.button === 0 && event.pointerType !== "touch";
    if (held) { view.canvas.setPointerCapture(event.pointerId); move(view.at(event)); }
  });
  view.on(view.canvas, "pointermove", (event) => { if (held) move(view.at(event)); });
  for (const end of ["pointerup", "pointercancel"]) view.on(view.canvas, end, () => { held = false; });
  view.on(view.canvas, "click", (event) => { if (event.pointerType === "touch") move(view.at(event)); });
}

// A native range input bound to a trait: keyboards, screen readers and touch already know it.
function addSlider(view, { trait, name, min, max, step, digits = 2, onInput = () => {} }) {
  const row = element(view.side, "label", { class: "m0-row" });
  element(row, "span", {}, name);
  const input = element(row, "input", { type: "range", min, max, step, "aria-label": name });
  const output = element(row, "output");
  input.addEventListener("input", () => { view.set({ [trait]: Number(input.value) }); onInput(); });
  let before = null; // a finger that swipes over the slider scrolls the page: its touch is taken back
  input.addEventListener("pointerdown", () => { before = view.model.get(trait); });
  input.addEventListener("pointercancel", () => { if (before !== null) view.set({ [trait]: before }); before = null; });
  input.addEventListener("pointerup", () => { before = null; });
  view.places.push(() => {
    const value = view.model.get(trait);
    if (Number(input.value) !== value) input.value = value;
    write(output, value.toFixed(digits));
    input.setAttribute("aria-valuetext", output.textContent);
  });
  return input;
}

// A native drop-down bound to a trait. options: {value: text}.
function addChoice(view, { trait, name, options }) {
  const row = element(view.side, "label", { class: "m0-row" });
  element(row, "span", {}, name);
  const select = element(row, "select", { "aria-label": name });
  for (const [value, text] of Object.entries(options)) element(select, "option", { value }, text);
  select.addEventListener("change", () => view.set({ [trait]: select.value }));
  view.places.push(() => { select.value = view.model.get(trait); });
  return select;
}

// The menu of target distributions, as Python's table has them.
function addTargets(view) {
  const targets = Object.entries(view.model.get("targets"));
  return addChoice(view, { trait: "target", name: "target", options: Object.fromEntries(targets.map(([name, { label }]) => [name, label])) });
}

// A table of numbers beside the picture. rows: [text, colour or ""], a letter after "^" is raised. Returns fill([...strings]);
// fill.label(i, text) changes the text of a row.
function addTable(view, rows) {
  const table = element(view.side, "table");
  const labels = [], cells = rows.map(([text, colour]) => {
    const row = element(table, "tr"), head = element(row, "td");
    if (colour) element(head, "span", { class: "m0-key" }).style.background = colour;
    const label = element(head, "span");
    text.split("^").forEach((part, i) => (i ? label.append(element(label, "sup", {}, part[0]), part.slice(1)) : label.append(part)));
    labels.push(label);
    return element(row, "td");
  });
  const fill = (values) => values.forEach((value, i) => write(cells[i], value));
  fill.label = (i, text) => write(labels[i], text);
  return fill;
}

const minus = (text) => text.replace("-", "−");
const number = (value, digits = 2) => minus(Number(value).toFixed(digits));
const pair = (point) => `(${number(point[0])}, ${number(point[1])})`;

function drawAxes(view) {
  const { ctx, size, ink } = view;
  Object.assign(ctx, { strokeStyle: ink, fillStyle: ink, lineWidth: 1, font: "11px sans-serif" });
  const [low, high] = [-1, 1].map((side) => view.centre.map((c) => c + side * view.extent));
  for (let t = Math.ceil(Math.min(...low)); t <= Math.max(...high); t++) {
    const [x, y] = view.px([t, t]).map((p) => Math.round(p) + 0.5);
    ctx.globalAlpha = t === 0 ? 0.3 : 0.1;
    ctx.beginPath(); ctx.moveTo(x, 0); ctx.lineTo(x, size - 16); ctx.moveTo(18, y); ctx.lineTo(size, y); ctx.stroke(); // clear of the numbers
    ctx.globalAlpha = 0.7;
    ctx.textAlign = "center"; ctx.textBaseline = "bottom"; ctx.fillText(minus(`${t}`), x, size - 2);
    ctx.textAlign = "left"; ctx.textBaseline = "middle"; if (y < size - 20) ctx.fillText(minus(`${t}`), 3, y); // no room beside the lower left corner
  }
  ctx.globalAlpha = 1;
}

// What is under the mouse, in the picture's upper right corner.
function drawHover(view, tell = pair) {
  if (!view.hover) return;
  Object.assign(view.ctx, { font: "12px sans-serif", fillStyle: view.ink, textAlign: "right", textBaseline: "top" });
  view.ctx.fillText(tell(view.hover), view.size - 6, 6);
}

function drawLine(view, points, colour, width = 2, dash = []) {
  const { ctx } = view;
  Object.assign(ctx, { strokeStyle: colour, lineWidth: width, lineJoin: "round" });
  ctx.setLineDash(dash);
  ctx.beginPath();
  for (const point of points) ctx.lineTo(...view.px(point));
  ctx.stroke();
  ctx.setLineDash([]);
}

function drawDot(view, point, colour, radius = 5) {
  const { ctx } = view;
  ctx.fillStyle = colour;
  ctx.beginPath(); ctx.arc(...view.px(point), radius, 0, 2 * Math.PI); ctx.fill();
}

// Many points: squares, far quicker than circles.
function drawDots(view, points, colour, radius = 2) {
  view.ctx.fillStyle = colour;
  for (const point of points) {
    const [x, y] = view.px(point);
    view.ctx.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
  }
}

// A mixture of Gaussians: each component as a disc of two standard deviations; one rim around those that touch.
function drawMixture(view, { means, std }) {
  const { ctx } = view, radius = std * view.size / view.extent;
  ctx.beginPath();
  for (const [x, y] of means.map(view.px)) { ctx.moveTo(x + radius, y); ctx.arc(x, y, radius, 0, 2 * Math.PI); }
  Object.assign(ctx, { strokeStyle: COLOUR.data, fillStyle: COLOUR.data, lineWidth: 2 });
  ctx.stroke();
  ctx.globalCompositeOperation = "destination-out"; // takes the rims' inner halves away
  ctx.fill();
  Object.assign(ctx, { globalCompositeOperation: "source-over", globalAlpha: 0.4 });
  ctx.fill();
  ctx.globalAlpha = 1;
}

// An arrow from a point along a vector, both in plane units.
function drawArrow(view, [x, y], [dx, dy], colour, width = 2.5, head = 9) {
  const { ctx } = view;
  const [x0, y0] = view.px([x, y]), [x1, y1] = view.px([x + dx, y + dy]);
  const length = Math.hypot(x1 - x0, y1 - y0), angle = Math.atan2(y1 - y0, x1 - x0), h = Math.min(head, length);
  const back = (turn) => [x1 - h * Math.cos(angle + turn), y1 - h * Math.sin(angle + turn)];
  Object.assign(ctx, { strokeStyle: colour, fillStyle: colour, lineWidth: width });
  ctx.beginPath(); ctx.moveTo(x0, y0); ctx.lineTo(x1 - 0.7 * h * Math.cos(angle), y1 - 0.7 * h * Math.sin(angle)); ctx.stroke();
  ctx.beginPath(); ctx.moveTo(x1, y1); ctx.lineTo(...back(0.45)); ctx.lineTo(...back(-0.45)); ctx.fill();
}

// A label beside a point, `offset` pixels away; what follows a "^" is set as a superscript.
function drawText(view, point, text, [right, down] = [12, -10]) {
  const { ctx, size } = view, [base, above] = text.split("^"), [x0, y0] = view.px(point);
  const x = Math.max(12, Math.min(size - 24, x0 + right)), y = Math.max(12, Math.min(size - 12, y0 + down));
  Object.assign(ctx, { font: "italic 15px serif", fillStyle: view.ink, textAlign: "center", textBaseline: "middle" });
  ctx.fillText(base, x, y);
  ctx.font = "italic 11px serif";
  if (above) ctx.fillText(above, x + 9, y - 6);
}
