// Recorded episodes: the camera's frame, the curves of state and action with the chunk of this frame shaded, play and scrub.

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "camera frame of the episode", draw });
    const instruction = element(view.side, "p", { class: "m0-note" });
    const graph = element(view.side, "canvas", { class: "m0-curves", role: "slider", tabindex: 0, "aria-label": "frame: click, drag or use the arrow keys" });
    const slider = addSlider(view, { trait: "frame", name: "frame", min: 0, max: 1, step: 1, digits: 0, onInput: stop });
    const row = element(view.side, "div", { class: "m0-row" });
    const play = addButton(row, toggle, "Play");
    const time = element(row, "output", { class: "m0-time" });
    const select = addChoice(view, { trait: "episode", name: "episode", options: Object.fromEntries(model.get("episodes").map((e) => [e, e])) });
    select.addEventListener("change", stop);
    const cameras = model.get("cameras");
    if (cameras.length > 1) addChoice(view, { trait: "camera", name: "camera", options: Object.fromEntries(cameras.map((c) => [c, c])) });
    const table = element(view.side, "div", { class: "m0-values" }), rows = [];
    for (const { title, names } of model.get("curves")) {
      names.forEach((name, d) => {
        const line = element(table, "span", { class: "m0-value" });
        const key = element(line, "span", { class: "m0-key" }), colour = hue(d, names.length);
        Object.assign(key.style, dashed(d, names.length) ? { border: `2px dashed ${colour}`, boxSizing: "border-box" } : { background: colour });
        line.append(`${name} `);
        rows.push(element(line, "b", { title }));
      });
    }
    // addChoice gives text; the trait is a number
    const setText = view.set;
    view.set = (values) => setText("episode" in values ? { ...values, episode: Number(values.episode), frame: 0 } : values);

    // ---- the episode's numbers and frames, unpacked when they arrive ------------------------------------------------
    let numbers = new Float32Array(0), sheet = null, wanted = 0;
    function unpack() {
      const bytes = model.get("values");
      numbers = bytes.buffer ? new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) : numbers;
      const picture = model.get("sheet"), mine = ++wanted;
      if (!picture.byteLength) { sheet = null; view.redraw(); return; }
      createImageBitmap(new Blob([picture], { type: "image/jpeg" })).then((bitmap) => {
        if (mine === wanted) { sheet = bitmap; view.redraw(); } // else a later episode came first
      });
    }
    view.on(model, "change:values", unpack);
    view.on(model, "change:sheet", unpack);
    unpack();

    // ---- drawing ----------------------------------------------------------------------------------------------------
    function draw() {
      const frame = model.get("frame"), fps = model.get("fps"), length = model.get("length");
      slider.max = length - 1;
      if (Number(slider.value) !== frame) slider.value = frame;
      write(instruction, `“${model.get("instruction")}”`);
      write(play, model.get("playing") ? "Pause" : "Play");
      write(time, `${number(frame / fps, 1)} s of ${number((length - 1) / fps, 1)} s`);
      graph.setAttribute("aria-valuemin", 0);
      graph.setAttribute("aria-valuemax", length - 1);
      graph.setAttribute("aria-valuenow", frame);
      const { ctx, size } = view;
      if (sheet) {
        const side = model.get("size"), columns = model.get("columns");
        ctx.imageSmoothingQuality = "high";
        ctx.drawImage(sheet, (frame % columns) * side, Math.floor(frame / columns) * side, side, side, 0, 0, size, size);
      } else {
        Object.assign(ctx, { fillStyle: view.ink, font: "14px sans-serif", textAlign: "center", textBaseline: "middle" });
        ctx.fillText(model.get("camera") ? "…" : "no camera was loaded", size / 2, size / 2);
      }
      drawCurves(frame, length);
      const dims = rows.length;
      rows.forEach((node, d) => write(node, number(numbers[frame * dims + d] ?? 0, 3)));
    }

    // A panel per curve group; every dim from its smallest to its largest value in the whole data set.
    function drawCurves(frame, length) {
      const dpr = window.devicePixelRatio || 1, width = graph.clientWidth, height = graph.clientHeight;
      if (!width) return;
      if (graph.width !== Math.round(width * dpr)) graph.width = Math.round(width * dpr);
      if (graph.height !== Math.round(height * dpr)) graph.height = Math.round(height * dpr);
      const ctx = graph.getContext("2d"), groups = model.get("curves"), dims = rows.length;
      ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
      ctx.clearRect(0, 0, width, height);
      const x = (k) => (length > 1 ? k / (length - 1) : 0) * width, gap = 18, tall = height / groups.length - gap;
      let first = 0;
      groups.forEach(({ title, names, low, high }, g) => {
        const top = g * (tall + gap) + gap;
        Object.assign(ctx, { fillStyle: view.ink, font: "11px sans-serif", textAlign: "left", textBaseline: "bottom", globalAlpha: 1 });
        ctx.fillText(title === "action" ? "action; shaded: the chunk of this frame" : title, 0, top - 3);
        if (title === "action") {
          Object.assign(ctx, { fillStyle: COLOUR.path, globalAlpha: 0.3 });
          ctx.fillRect(x(frame), top, x(Math.min(frame + model.get("horizon") - 1, length - 1)) - x(frame), tall);
        }
        ctx.globalAlpha = 0.9;
        names.forEach((name, d) => {
          const span = high[d] - low[d] || 1;
          Object.assign(ctx, { strokeStyle: hue(d, names.length), lineWidth: 1.4 });
          ctx.setLineDash(dashed(d, names.length) ? [5, 3] : []);
          ctx.beginPath();
          for (let k = 0; k < length; k++) ctx.lineTo(x(k), top + tall * (1 - (numbers[k * dims + first + d] - low[d]) / span));
          ctx.stroke();
        });
        ctx.setLineDash([]);
        Object.assign(ctx, { strokeStyle: view.ink, lineWidth: 1, globalAlpha: 0.9 });
        ctx.beginPath(); ctx.moveTo(x(frame), top); ctx.lineTo(x(frame), top + tall); ctx.stroke();
        first += names.length;
      });
    }

    // ---- scrubbing and keys -------------------------------------------------------------------------------------------
    const go = (frame) => view.set({ frame: Math.max(0, Math.min(model.get("length") - 1, Math.round(frame))) });
    let held = false;
    const at = (event) => {
      const box = graph.getBoundingClientRect();
      go((event.clientX - box.left) / box.width * (model.get("length") - 1));
    };
    graph.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      held = true; graph.setPointerCapture(event.pointerId); stop(); at(event);
    });
    graph.addEventListener("pointermove", (event) => { if (held) at(event); });
    for (const end of ["pointerup", "pointercancel"]) graph.addEventListener(end, () => { held = false; });
    graph.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -1e9, End: 1e9 }[event.key];
      if (event.key === " ") toggle(); else if (step) { stop(); go(model.get("frame") + step); } else return;
      event.preventDefault();
    });

    // ---- playing: the frame follows the clock; Python hears of it at the end -----------------------------------------
    let timer = 0, from = null;
    function stop() { if (model.get("playing")) view.set({ playing: false }); }
    function toggle() {
      if (!model.get("playing") && model.get("frame") >= model.get("length") - 1) model.set("frame", 0);
      view.set({ playing: !model.get("playing") });
    }
    function tick(now) {
      timer = 0;
      if (!model.get("playing")) { from = null; model.save_changes(); return; }
      const frame = model.get("frame"), last = model.get("length") - 1;
      if (!from || frame !== from.last || now > from.seen + 1000) from = { frame, now };
      const next = Math.min(last, from.frame + Math.floor((now - from.now) / 1000 * model.get("fps")));
      Object.assign(from, { last: next, seen: now });
      if (next !== frame) model.set("frame", next);
      if (next === last) view.set({ playing: false });
      timer = requestAnimationFrame(tick);
    }
    const start = () => { if (model.get("playing")) timer ||= requestAnimationFrame(tick); };
    view.on(model, "change:playing", start);
    start();
    const size = new ResizeObserver(view.redraw);
    size.observe(graph);
    return () => { cancelAnimationFrame(timer); size.disconnect(); view.close(); };
  },
};

// Six colours, as in the still pictures; from the seventh dim on they are dashed. With many dims: colours around the circle.
const SIX = [COLOUR.data, COLOUR.regression, COLOUR.flow, COLOUR.gaussian, COLOUR.one_step, COLOUR.path];
const dashed = (d, n) => n <= 2 * SIX.length && d >= SIX.length;
const hue = (d, n) => (n <= 2 * SIX.length ? SIX[d % SIX.length]
  : `hsl(${Math.round(360 * d / n)} 65% 48%)`);
