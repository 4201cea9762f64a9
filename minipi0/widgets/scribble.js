// Thirty chunks from noise to paths around a disc, by the exact velocity of the demonstrated chunks.
const CHUNKS = 30;
const POLICY = { flow: "flow matching, n Euler steps", regression: "regression: the mean, at once" };
const FATE = { left: ["pass above the disc", COLOUR.data], right: ["pass below it", COLOUR.flow], hit: ["enter it", COLOUR.regression] };

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "Chunks of way-points on their way from noise to paths around a disc", draw });
    const choice = addChoice(view, { trait: "policy", name: "policy", options: POLICY });
    choice.addEventListener("change", () => { if (choice.value === "regression") view.set({ tau: 1 }); }); // its answer
    addSlider(view, { trait: "tau", name: "τ (0 noise, 1 action)", min: 0, max: 1, step: 0.01 });
    const stepsInput = addSlider(view, { trait: "euler_steps", name: "Euler steps n", min: 1, max: 50, step: 1, digits: 0 });
    const buttons = element(view.side, "div", { class: "m0-row" });
    const player = addPlay(view, buttons);
    addButton(buttons, () => view.set({ seed: model.get("seed") + 1 }), "New noise");
    const fill = addTable(view, [...Object.values(FATE), ["the chunk under the mouse, at τ\u00a0=\u00a01", ""]]);
    const note = element(view.side, "p", { class: "m0-note" });
    const { radius, std, reach } = model.get("task");
    addHandle(view, { trait: "obstacle", name: "the disc", colour: "#777777", limit: reach });

    let scene = null; // what depends on these traits, computed once per change
    for (const cause of ["policy", "euler_steps", "obstacle", "seed", "chunks"]) view.on(model, `change:${cause}`, () => { scene = null; });
    function makeScene() {
      const demos = model.get("chunks").map((chunk) => around(chunk, model.get("obstacle"))), mixture = { demos, std };
      const source = randomSource(model.get("seed")), regression = model.get("policy") === "regression";
      const mean = demos[0].map((_, i) => demos.reduce((sum, demo) => sum + demo[i], 0) / demos.length);
      const paths = Array.from({ length: CHUNKS }, () => {
        const noise = mean.map(source.normal), path = regression ? [noise, mean] : demoPath(mixture, noise, model.get("euler_steps"));
        return { path, ...fate(points(path.at(-1)), model.get("obstacle"), radius) };
      });
      return { demos, paths };
    }

    function draw() {
      scene ||= makeScene();
      const { ctx } = view, regression = model.get("policy") === "regression", tau = model.get("tau");
      stepsInput.disabled = regression;
      const inPixels = radius * view.size / (2 * view.extent);
      drawAxes(view);
      ctx.globalAlpha = 0.5;
      for (const demo of scene.demos.filter((_, i) => i % 4 === 0)) drawLine(view, points(demo), view.ink, 1); // all would be one grey area
      ctx.globalAlpha = 1;
      if (regression) for (const { path } of scene.paths) drawLine(view, points(path[0]), COLOUR.noise, 1);
      ctx.globalAlpha = 0.35;
      drawDot(view, model.get("obstacle"), view.ink, inPixels);
      const now = scene.paths.map(({ path }) => points(between(path, tau)));
      const chosen = view.hover && nearest(now, view.hover);
      now.forEach((chunk, i) => {
        ctx.globalAlpha = chosen === null || chosen === i ? 1 : 0.3;
        if (chosen !== i) drawLine(view, chunk, FATE[scene.paths[i].fate][1], 1 + 0.7 * tau); // thin while they are scribbles
      });
      ctx.globalAlpha = 1;
      if (chosen !== null) {
        drawLine(view, now[chosen], FATE[scene.paths[chosen].fate][1], 3.5);
        drawDots(view, now[chosen], FATE[scene.paths[chosen].fate][1], 3.5);
      }
      Object.assign(ctx, { strokeStyle: view.ink, lineWidth: 2 }); // the rim shows through any scribble
      ctx.beginPath(); ctx.arc(...view.px(model.get("obstacle")), inPixels, 0, 2 * Math.PI); ctx.stroke();
      const counts = Object.keys(FATE).map((name) => `${scene.paths.filter(({ fate }) => fate === name).length} of ${CHUNKS}`);
      const told = chosen === null ? "–" : `${number(scene.paths[chosen].distance)} from the centre`;
      fill([...counts, told]);
      write(note, (regression ? "A regression answers every noise (grey scribbles) with the mean of the demonstrations: 30 chunks, one line. It has no τ; the slider draws the straight line from the noise to the answer. "
        : "Each line is a chunk of 16 way-points, coloured by where it ends. ")
        + `Grey arcs: every fourth of ${scene.demos.length} demonstrations. Drag the disc (radius ${radius}), or focus its centre and use the arrow keys.`);
    }
    return () => { player.stop(); view.close(); };
  },
};

const points = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);

// A chunk around a disc at the origin, bent to go around one at (x, y), as one row of numbers. scribble.around is its twin.
function around(chunk, [x, y]) {
  const grow = 1 / Math.sin(Math.PI * (x + 2) / 4);
  return chunk.flatMap(([px, py], i) => [px, grow * (py + y * Math.sin(Math.PI * i / (chunk.length - 1)))]);
}

// The chunk at tau, on the straight pieces of its Euler path.
function between(path, tau) {
  const position = tau * (path.length - 1), i = Math.min(Math.floor(position), path.length - 2), w = position - i;
  return path[i].map((c, k) => (1 - w) * c + w * path[i + 1][k]);
}

// The point of a polyline that is closest to (x, y), and how far it is.
function closest(line, [x, y]) {
  let best = { distance: Infinity };
  for (let i = 1; i < line.length; i++) {
    const [ax, ay] = line[i - 1], dx = line[i][0] - ax, dy = line[i][1] - ay;
    const along = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / Math.max(1e-12, dx * dx + dy * dy)));
    const point = [ax + along * dx, ay + along * dy], distance = Math.hypot(point[0] - x, point[1] - y);
    if (distance < best.distance) best = { distance, point };
  }
  return best;
}

// toys.Obstacle.collides and .side are its twins.
function fate(line, centre, radius) {
  const { distance, point } = closest(line, centre);
  return { distance, fate: distance < radius ? "hit" : point[1] > centre[1] ? "left" : "right" };
}

function nearest(lines, mouse) {
  const distances = lines.map((line) => closest(line, mouse).distance), least = Math.min(...distances);
  return least < 0.15 ? distances.indexOf(least) : null;
}
