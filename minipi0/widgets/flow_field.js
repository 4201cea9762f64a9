// The flow from noise to a target distribution: arrows at tau, particles that follow them, one particle's path in full.
const SHOW = { marginal: "the marginal field", conditional: "their own straight lines" };
const FIELD = { exact: "exact (closed form)", network: "the trained network's" };

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "Velocity field and particles on their way from noise to the target", draw });
    addTargets(view);
    addChoice(view, { trait: "show", name: "particles follow", options: SHOW });
    const fieldChoice = addChoice(view, { trait: "field", name: "field", options: FIELD });
    addSlider(view, { trait: "tau", name: "τ (0 noise, 1 action)", min: 0, max: 1, step: 0.01 });
    addSlider(view, { trait: "euler_steps", name: "Euler steps n", min: 1, max: 50, step: 1, digits: 0 });
    const buttons = element(view.side, "div", { class: "m0-row" });
    const player = addPlay(view, buttons);
    const dotButtons = [
      addButton(buttons, () => addDot(model.get("particle")), "Add a dot at ε"),
      addButton(buttons, () => removeDot(nearestDot(model.get("particle"))), "Remove the dot nearest ε"),
      addButton(buttons, () => view.set({ dots: [] }), "Remove all"),
    ];
    const fill = addTable(view, [
      ["one noise point ε", COLOUR.noise], ["", COLOUR.flow], ["n Euler steps end at", COLOUR.one_step],
      ["distance between them", ""],
    ]);
    const note = element(view.side, "p", { class: "m0-note" });
    addHandle(view, { trait: "particle", name: "noise point ε", colour: COLOUR.noise });

    // A network flows to the target that it was trained on: it is offered there and nowhere else.
    const hasNetwork = () => model.get("network").byteLength && model.get("target") === model.get("trained_on");
    const shownField = () => (hasNetwork() ? model.get("field") : "exact");
    // A moment later: where a listener sets the model, JupyterLab's tells nobody of the change that it is telling of.
    view.on(model, "change:target", () => queueMicrotask(() => { if (model.get("field") !== shownField()) view.set({ field: "exact" }); }));

    // ---- what depends on the field, computed once per change of these traits and kept --------------------------------
    const causes = ["target", "dots", "field", "euler_steps", "network", "n_particles", "seed", "targets"];
    let scene = null;
    for (const cause of causes) view.on(model, `change:${cause}`, () => { scene = null; });

    function makeScene() {
      const mixture = targetMixture(model);
      const field = shownField() === "network" ? networkField(model) : mixture.means.length ? mixtureField(mixture) : () => [0, 0];
      const source = randomSource(model.get("seed")), particles = [];
      for (let i = 0; i < model.get("n_particles"); i++) {
        const noise = [source.normal(), source.normal()];
        const action = mixture.means.length ? sampleMixture(mixture, source) : noise; // the partner in training, drawn independently
        particles.push({ line: [noise, action], path: eulerPath(field, noise, model.get("euler_steps")) });
      }
      return { mixture, field, particles };
    }

    // ---- drawing ----------------------------------------------------------------------------------------------------
    function draw() {
      scene ||= makeScene();
      const tau = model.get("tau"), marginal = model.get("show") === "marginal", own = model.get("target") === "dots";
      fieldChoice.parentNode.hidden = !hasNetwork();
      for (const button of dotButtons) button.hidden = !own;
      view.canvas.style.touchAction = own ? "none" : "";
      write(note, [
        own ? `Click or draw to add dots (${model.get("dots").length} of ${MOST_DOTS}), drag one to move it, click one to remove it.`
          : "Click anywhere: a noise point ε starts there.",
        "Drag ε or use the arrow keys. Discs: the target, to 2 std.", marginal ? "Arrows: the field at τ." : "",
      ].join(" "));
      fill.label(1, shownField() === "network" ? "the network's path, in tiny steps, ends at" : "its exact path ends at");
      drawMixture(view, scene.mixture);
      drawAxes(view);
      if (marginal) drawField(view, scene.field, tau);
      else for (const { line } of scene.particles.slice(0, 60)) { drawLine(view, line, COLOUR.path, 1); }
      drawDots(view, scene.particles.map(({ line, path }) => pathAt(marginal ? path : line, tau)), COLOUR.path);
      view.ctx.globalAlpha = 1;
      drawParticle(tau);
      drawHover(view, (here) => `${pair(here)}: v = ${pair(scene.field(...here, tau))} at τ = ${number(tau)}`);
    }

    function drawParticle(tau) {
      const start = model.get("particle"), n = model.get("euler_steps");
      if (scene.start !== start) Object.assign(scene, { start, exact: exactPath(scene.field, start), steps: eulerPath(scene.field, start, n) });
      const { exact, steps } = scene;
      drawLine(view, exact, COLOUR.flow, 2.5);
      drawLine(view, steps, COLOUR.one_step, 2);
      drawDots(view, steps, COLOUR.one_step, 3);
      drawDot(view, pathAt(exact, tau), COLOUR.flow, 6);
      drawDot(view, pathAt(steps, tau), COLOUR.one_step, 6);
      drawText(view, start, "ε");
      const [a, b] = [exact.at(-1), steps.at(-1)];
      fill([pair(start), pair(a), pair(b), number(Math.hypot(a[0] - b[0], a[1] - b[1]), 3)]);
    }

    // ---- the mouse in the plane: the noise point; or dots: added, moved, and removed by a click -----------------------
    const apart = ([a, b], [c, d]) => Math.hypot(a - c, b - d);
    const addDot = (point) => { if (model.get("dots").length < MOST_DOTS) view.set({ dots: [...model.get("dots"), point] }); };
    const removeDot = (i) => view.set({ dots: model.get("dots").filter((_, k) => k !== i) });
    const nearestDot = (point, within = Infinity) => model.get("dots").reduce(
      (best, dot, i, dots) => (apart(dot, point) <= (best < 0 ? within : apart(dots[best], point)) ? i : best), -1);
    let press = null; // while the button is down: {dot: which one it holds or -1, from: where that was, moved}
    onPlane(view, (here) => { if (model.get("target") !== "dots") view.set({ particle: here }); });
    view.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || model.get("target") !== "dots") return;
      view.canvas.setPointerCapture(event.pointerId);
      const here = view.at(event), dot = nearestDot(here, 0.2);
      press = { dot, from: here, moved: false };
      if (dot < 0) addDot(here);
    });
    view.canvas.addEventListener("pointermove", (event) => {
      if (!press) return;
      const here = view.at(event), dots = model.get("dots");
      if (press.dot < 0) { if (apart(here, dots.at(-1) || [9, 9]) > 0.3) addDot(here); }
      else if (press.moved ||= apart(here, press.from) > 0.05) view.set({ dots: dots.map((dot, i) => (i === press.dot ? here : dot)) });
    });
    view.canvas.addEventListener("pointerup", () => {
      if (press && press.dot >= 0 && !press.moved) removeDot(press.dot);
      press = null;
    });
    view.canvas.addEventListener("pointercancel", () => { press = null; });

    return () => { player.stop(); view.close(); };
  },
};

// The current target as {means, std, weights}; the reader's dots weigh the same.
function targetMixture(model) {
  const mixture = model.get("targets")[model.get("target")], dots = model.get("dots");
  return mixture.means ? mixture : { means: dots, std: mixture.std, weights: dots.map(() => 1 / dots.length) };
}

function networkField(model) {
  const bytes = model.get("network"); // a DataView, not always aligned to floats: copy
  const halves = new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return gridField(Float32Array.from(halves, float16), model.get("grid"));
}

// Arrows on a grid, all in one path: quick. Their length is a seventh of the velocity, but stays within 1.3 cells.
function drawField(view, field, tau, side = 15) {
  const { ctx } = view, cell = 2 * view.extent / side;
  Object.assign(ctx, { strokeStyle: COLOUR.flow, lineWidth: 1.2 });
  ctx.beginPath();
  for (let k = 0; k < side * side; k++) {
    const x = -view.extent + cell * (k % side + 0.5), y = -view.extent + cell * (Math.floor(k / side) + 0.5);
    const [vx, vy] = field(x, y, tau), speed = Math.hypot(vx, vy), scale = Math.min(1 / 7, 1.3 * cell / speed);
    if (!(speed > 1e-9)) continue;
    const [x0, y0] = view.px([x, y]), [x1, y1] = view.px([x + scale * vx, y + scale * vy]);
    const angle = Math.atan2(y1 - y0, x1 - x0), head = Math.min(5, Math.hypot(x1 - x0, y1 - y0));
    ctx.moveTo(x0, y0); ctx.lineTo(x1, y1);
    for (const turn of [-0.5, 0.5]) { ctx.moveTo(x1, y1); ctx.lineTo(x1 - head * Math.cos(angle + turn), y1 - head * Math.sin(angle + turn)); }
  }
  ctx.stroke();
  ctx.globalAlpha = 1;
}
