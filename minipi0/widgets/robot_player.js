// A robot that acts in the kernel, its pictures streamed here; without a kernel, or without OpenGL, recorded episodes.
const RATE = 10; // pictures a second, in real time
const SPEEDS = { 0.5: "half", 1: "real time", 2: "twice", 100: "as fast as it computes" };
const OWN = "\u0000"; // the last choice of instructions: the reader's own words

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "The robot, seen from the front", extent: 1, draw });
    const { canvas, side } = view;
    const tell = (kind) => model.send?.({ kind });
    let live = null; // {image, moment}: the last moment that the kernel sent
    let answered = false; // whether the kernel has answered

    // ---- controls of the kernel's robot ------------------------------------------------------------------------------
    const liveRows = element(side, "div", { class: "m0-group" });
    const row = (name, tag, attributes = {}) => {
      const label = element(liveRows, "label", { class: "m0-row" });
      element(label, "span", {}, name);
      return element(label, tag, { "aria-label": name, ...attributes });
    };
    const scene = row("scene", "select"), instruction = row("instruction", "select");
    const own = row("in your own words", "input", { type: "text", maxlength: 200 });
    const policy = row("policy", "select"), steps = row("Euler steps", "select");
    const execute = row("executed actions k", "input", { type: "range", min: 1, step: 1 });
    const executed = element(execute.parentNode, "output");
    const seed = row("start (a seed)", "input", { type: "number", min: 0, max: 9999, step: 1 });
    const speed = row("speed", "select"), fan = row("fan of chunks", "input", { type: "checkbox" });
    let typing = false; // "your own words" was chosen
    for (const [node, read] of [
      [scene, () => ({ scene: scene.value })], [policy, () => ({ policy: policy.value })],
      [steps, () => ({ steps: Number(steps.value) })], [speed, () => ({ speed: Number(speed.value) })],
      [execute, () => ({ execute: Number(execute.value) })], [fan, () => ({ fan: fan.checked })],
      [seed, () => ({ seed: Math.max(0, Math.min(9999, Math.round(Number(seed.value)) || 0)) })],
      [own, () => (own.value.trim() ? { instruction: own.value.trim() } : {})],
    ]) node.addEventListener("change", () => view.set(read()));
    execute.addEventListener("input", () => write(executed, execute.value));
    instruction.addEventListener("change", () => {
      typing = instruction.value === OWN;
      if (typing) { view.redraw(); own.hidden = false; own.parentNode.hidden = false; own.focus(); }
      else view.set({ instruction: instruction.value });
    });

    function place() {
      const here = model.get("scenes")[model.get("scene")], words = model.get("instruction");
      fill(scene, Object.keys(model.get("scenes")), model.get("scene"));
      typing &&= instruction.value === OWN;
      const known = here.instructions.includes(words) && !typing;
      fill(instruction, [...here.instructions, [OWN, "your own words …"]], known ? words : OWN);
      if (document.activeElement !== own) own.value = words;
      own.parentNode.hidden = known;
      scene.parentNode.hidden = scene.options.length < 2;
      fill(policy, here.policies, model.get("policy"));
      fill(steps, [1, 2, 5, 10, 20], model.get("steps"));
      fill(speed, Object.entries(SPEEDS), model.get("speed"));
      for (const [node, value] of [[execute, model.get("execute")], [seed, model.get("seed")]])
        if (document.activeElement !== node || node === execute) node.value = value;
      execute.max = model.get("horizon");
      write(executed, `${model.get("execute")}`);
      fan.checked = model.get("fan");
    }

    // ---- recorded episodes -------------------------------------------------------------------------------------------
    const recorded = model.get("recorded") || [];
    const recordedRow = element(side, "label", { class: "m0-row" });
    element(recordedRow, "span", {}, "recorded episode");
    const which = element(recordedRow, "select", { "aria-label": "recorded episode" });
    recorded.forEach((one, i) => element(which, "option", { value: i }, one.title));
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
    const replay = { shown: 0, playing: false, from: null, url: "" };
    view.on(video, "seeked", view.redraw);
    view.on(video, "loadeddata", view.redraw);
    which.addEventListener("change", () => { open(Number(which.value)); view.redraw(); });
    function open(i) {
      if (!recorded[i]) return;
      URL.revokeObjectURL(replay.url);
      replay.url = video.src = URL.createObjectURL(new Blob([recorded[i].video], { type: "video/webm" }));
      Object.assign(replay, { of: recorded[i], shown: 0, playing: false, from: null });
    }
    function seek(frame) {
      replay.shown = Math.max(0, Math.min(replay.of.frames - 1, frame));
      video.currentTime = (replay.shown + 0.5) / RATE; // the middle of a frame: no rounding decides
      if (replay.shown === replay.of.frames - 1) replay.playing = false;
    }
    let clock = 0;
    function tick(time) {
      clock = 0;
      if (!replay.playing) { view.redraw(); return; }
      replay.from ??= { time, frame: replay.shown };
      const frame = replay.from.frame + Math.floor((time - replay.from.time) / 1000 * RATE);
      if (frame !== replay.shown) seek(frame);
      clock = requestAnimationFrame(tick);
    }
    open(0);

    // ---- play, step, restart: for whichever robot is shown ------------------------------------------------------------
    const isLive = () => answered && (live !== null || !model.get("trouble") || !recorded.length);
    const isPlaying = () => (isLive() ? model.get("playing") : replay.playing);
    const actions = {
      play() {
        if (isLive()) return view.set({ playing: !model.get("playing") });
        if (!replay.of) return;
        if (!replay.playing && replay.shown === replay.of.frames - 1) seek(0);
        Object.assign(replay, { playing: !replay.playing, from: null });
        clock ||= requestAnimationFrame(tick);
      },
      step() {
        if (isLive()) return tell("step");
        replay.playing = false;
        if (replay.of) seek(replay.shown + 1);
      },
      restart() {
        if (isLive()) return tell("restart");
        if (replay.of) { seek(0); replay.from = null; }
      },
      next() {
        if (isLive()) return view.set({ seed: (model.get("seed") + 1) % 10000 });
        which.selectedIndex = (which.selectedIndex + 1) % recorded.length;
        open(which.selectedIndex);
      },
    };
    const act = (name) => { actions[name](); view.redraw(); };
    const buttons = element(side, "div", { class: "m0-row" });
    const play = addButton(buttons, () => act("play"));
    addButton(buttons, () => act("step"), "Step");
    addButton(buttons, () => act("restart"), "Restart");
    const next = addButton(buttons, () => act("next"));
    const line = element(side, "p", { class: "m0-line", role: "status" });
    const note = element(side, "p", { class: "m0-note" });
    canvas.tabIndex = 0;
    canvas.addEventListener("keydown", (event) => {
      const name = { " ": "play", ArrowRight: "step", r: "restart", n: "next" }[event.key];
      if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault(); // no scrolling
      act(name);
    });
    canvas.addEventListener("click", () => canvas.focus());

    // ---- what the kernel sends -----------------------------------------------------------------------------------------
    let newest = 0;
    view.on(model, "msg:custom", async (content, buffers) => {
      answered = true;
      if (content.kind === "moment") {
        const order = ++newest, image = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
        if (order === newest) live = { image, moment: content };
      }
      view.redraw();
    });
    tell("hello");

    // ---- drawing -----------------------------------------------------------------------------------------------------
    function draw() {
      const now = isLive();
      place();
      liveRows.hidden = !now;
      recordedRow.hidden = now || !recorded.length;
      write(play, isPlaying() ? "Pause" : "Play");
      write(next, now ? "Next start" : "Next recording");
      if (now && live) {
        view.ctx.drawImage(live.image, 0, 0, view.size, view.size);
        drawFan(view, live.moment);
      } else if (!now && replay.of) {
        if (video.readyState >= 2) view.ctx.drawImage(video, 0, 0, view.size, view.size);
        const fans = replay.of.fans.filter((one) => one.frame <= replay.shown);
        if (fans.length && replay.shown) drawFan(view, fans.at(-1));
      }
      write(line, model.get("trouble") || (now ? live?.moment.line ?? "The robot gets ready." : said()));
      write(note, (now ? "" : "No robot runs behind this page: these episodes were recorded. ")
        + "Pale lines: where other sampled chunks would take the hand. White: the actions carried out. "
        + "Click the picture for the keys: Space plays, → steps, R restarts, N goes on to the next.");
    }
    function said() {
      if (!replay.of) return "There is no recorded episode.";
      return replay.shown === replay.of.frames - 1 ? replay.of.line : `${(replay.shown / RATE).toFixed(1)} s`;
    }
    return () => { cancelAnimationFrame(clock); video.removeAttribute("src"); URL.revokeObjectURL(replay.url); view.close(); };
  },
};

// Give a drop-down these options, [value, text] or plain values, and choose one of them.
function fill(select, options, value) {
  const wanted = options.map((one) => (Array.isArray(one) ? one : [one, one]).map(String));
  if (wanted.length !== select.options.length || wanted.some(([v], i) => select.options[i].value !== v)) {
    select.replaceChildren();
    for (const [v, text] of wanted) element(select, "option", { value: v }, text);
  }
  select.value = `${value}`;
}

// Hand paths over the picture, in thousandths of it: a dark rim first, so that they show on any background.
function drawFan(view, { fan, chosen }) {
  const { ctx, size } = view;
  const lines = (paths, colour, width, alpha) => {
    Object.assign(ctx, { strokeStyle: colour, lineWidth: width, globalAlpha: alpha, lineJoin: "round", lineCap: "round" });
    for (const path of paths) {
      ctx.beginPath();
      for (const [column, row] of path) ctx.lineTo(column / 1000 * size, row / 1000 * size);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  };
  lines(fan, "#000000", 4, 0.35);
  lines(fan, COLOUR.path, 2, 0.9);
  lines([chosen], "#000000", 7, 0.6);
  lines([chosen], "#ffffff", 4, 1);
}
