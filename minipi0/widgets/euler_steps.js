// One particle's n Euler steps against its true curve, and where the tangent of each step points.

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "Euler steps of one particle and its true curve", draw });
    addTargets(view);
    addSlider(view, { trait: "steps", name: "Euler steps n", min: 1, max: 50, step: 1, digits: 0 });
    const fill = addTable(view, [
      ["start: noise ε", COLOUR.noise], ["the true curve ends at", COLOUR.flow], ["n Euler steps end at", COLOUR.one_step],
      ["error: their distance", ""], ["n × error", ""],
    ]);
    element(view.side, "p", { class: "m0-note" }, "Drag ε, or focus it and use the arrow keys. Dashed: where a step's tangent points, "
      + "followed up to τ = 1. That is the mean of all actions that can have led to this point; a single step (n = 1) goes all the way "
      + "there. Dotted: how far the particle has strayed.");
    addHandle(view, { trait: "start", name: "start, noise ε", colour: COLOUR.noise });

    // Show the part of the plane that holds these points, with a margin.
    function fit(points) {
      const [low, high] = [Math.min, Math.max].map((most) => [0, 1].map((i) => most(...points.map((point) => point[i]))));
      view.centre = low.map((c, i) => (c + high[i]) / 2);
      view.extent = Math.min(EXTENT, Math.max(0.8, ...low.map((c, i) => 0.7 * (high[i] - c))));
    }

    function draw() {
      const mixture = model.get("targets")[model.get("target")], start = model.get("start"), n = model.get("steps");
      const field = mixtureField(mixture), exact = exactPath(field, start), steps = eulerPath(field, start, n);
      if (!view.held) fit([...exact, start, start.map((c, i) => c + field(...start, 0)[i])]); // it stands still under a moving hand
      drawMixture(view, mixture);
      drawAxes(view);
      view.ctx.globalAlpha = n > 12 ? 0.35 : 1; // many tangents: let the curve show through
      steps.slice(0, n).forEach(([x, y], i) => {
        const [vx, vy] = field(x, y, i / n), end = [x + (1 - i / n) * vx, y + (1 - i / n) * vy];
        drawLine(view, [[x, y], end], COLOUR.one_step, 1, [4, 4]);
        drawLine(view, [[x, y], pathAt(exact, i / n)], view.ink, 1, [1, 3]); // how far it has strayed by now
        drawDots(view, [end], COLOUR.one_step, 2);
      });
      view.ctx.globalAlpha = 1;
      drawLine(view, exact, COLOUR.flow, 3);
      steps.slice(0, n).forEach((from, i) => drawArrow(view, from, steps[i + 1].map((c, k) => c - from[k]), COLOUR.one_step, 2, 7));
      for (let i = 1; i <= n; i++) { drawDot(view, pathAt(exact, i / n), COLOUR.flow, 3.5); drawDot(view, steps[i], COLOUR.one_step, 3.5); }
      const [right, up] = field(...start, 0), speed = Math.hypot(right, up) || 1;
      drawText(view, start, "ε", [-18 * up / speed, -18 * right / speed]); // beside the first step
      const [a, b] = [exact.at(-1), steps.at(-1)], error = Math.hypot(a[0] - b[0], a[1] - b[1]);
      drawHover(view);
      fill([pair(start), pair(a), pair(b), number(error, 3), number(n * error, 2)]);
    }
    return view.close;
  },
};
