// The arm in the reader's hands: keys that are held go to the kernel, its pictures come back.
const MOMENT = 150; // ms: the shortest press of a button, longer than a frame of the robot

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "The robot, seen from the front", draw });
    const { canvas, side } = view;
    const held = new Set();
    let image = null;
    const tell = (message) => model.send?.(message);
    const hold = (key, down) => {
      if (held.has(key) === down) return;
      held[down ? "add" : "delete"](key);
      tell({ kind: "keys", keys: [...held] });
    };
    const release = () => { if (held.size) { held.clear(); tell({ kind: "keys", keys: [] }); } };

    // ---- keys, while the picture has the focus ---------------------------------------------------
    const known = (event) => (event.key.length === 1 ? event.key.toLowerCase() : event.key);
    canvas.tabIndex = 0;
    canvas.addEventListener("click", () => canvas.focus());
    canvas.addEventListener("blur", release);
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Enter") return begin();
      if (!(known(event) in model.get("buttons"))) return;
      event.preventDefault(); // no scrolling
      hold(known(event), true);
    });
    canvas.addEventListener("keyup", (event) => hold(known(event), false));

    // ---- the same with buttons ---------------------------------------------------------------------
    function begin() { release(); tell({ kind: "begin" }); canvas.focus(); }
    addButton(element(side, "div", { class: "m0-row" }), begin, "New scene (Enter)");
    const row = element(side, "div", { class: "m0-row" });
    for (const [key, text] of Object.entries(model.get("buttons"))) {
      const button = addButton(row, () => {}, text);
      const down = () => hold(key, true), up = () => setTimeout(() => hold(key, false), MOMENT);
      button.addEventListener("pointerdown", down);
      for (const end of ["pointerup", "pointerleave", "pointercancel"]) button.addEventListener(end, up);
      button.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") down(); });
      button.addEventListener("keyup", up);
    }
    const line = element(side, "p", { class: "m0-line", role: "status" });
    element(side, "p", { class: "m0-note" }, "Begin a scene, click the picture and hold keys. Time stands still while no key is held. "
      + "The hand moves to the arm's own right and left; ahead is away from its base. Only successes are kept.");

    view.on(model, "msg:custom", async (content, buffers) => {
      image = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
      view.redraw();
    });
    function draw() {
      if (image) view.ctx.drawImage(image, 0, 0, view.size, view.size);
      else drawEmpty(view);
      write(line, model.get("line"));
    }
    return view.close;
  },
};

// Before the first picture: where it will be, and what to do.
function drawEmpty({ ctx, size, ink }) {
  Object.assign(ctx, { fillStyle: ink, globalAlpha: 0.08 });
  ctx.fillRect(0, 0, size, size);
  Object.assign(ctx, { globalAlpha: 0.8, font: "15px sans-serif", textAlign: "center" });
  ctx.fillText("Press New scene: the arm appears here.", size / 2, size / 2);
  ctx.globalAlpha = 1;
}
