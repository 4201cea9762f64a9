// Who could be passing here? The demonstrations that a point met at x at tau can belong to, and the mean of their velocities.
const SHORT = 0.5; // an arrow's length, in parts of the velocity

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "Demonstrations, lit by how probable it is that a point passing at x belongs to them", draw });
    addSlider(view, { trait: "tau", name: "τ (0 noise, 1 action)", min: 0, max: 1, step: 0.01 });
    const fill = addTable(view, [
      ["the point x", COLOUR.noise], ["demonstrations", COLOUR.data], ["the most probable one", ""], ["that still count, 1 / Σ w^2", ""],
      ["mean velocity v(x, τ)", COLOUR.flow], ["its length", ""],
    ]);
    element(view.side, "p", { class: "m0-note" }, "Move the mouse over the plane; a click (or a tap) pins x, arrow keys move it. The fuller a "
      + "demonstration, the more probable that its pair of noise and action passes x at τ. Thin arrows: the velocity of each such pair. "
      + "Bold: their weighted mean, which is what a perfect network answers. Arrows have half their length.");
    addHandle(view, { trait: "point", name: "the point x", colour: COLOUR.noise });
    onPlane(view, (point) => view.set({ point }));

    function draw() {
      const mixture = { demos: model.get("demonstrations"), std: model.get("std") }, tau = model.get("tau");
      const x = view.hover || model.get("point"), shares = posterior(mixture, x, tau), slope = slopeAt(mixture.std, tau);
      const most = Math.max(...shares), velocity = demoVelocity(mixture, x, tau), { ctx } = view;
      drawAxes(view);
      mixture.demos.forEach((demo, k) => {
        const light = shares[k] / most;
        ctx.globalAlpha = 0.3 * light;
        if (light > 0.01) drawLine(view, [x, demo], view.ink, 1);
        ctx.globalAlpha = 0.12 + 0.88 * light;
        drawDot(view, demo, COLOUR.data, 4 + 5 * Math.sqrt(shares[k]));
        ctx.globalAlpha = 1;
        Object.assign(ctx, { strokeStyle: COLOUR.data, lineWidth: 1 });
        ctx.beginPath(); ctx.arc(...view.px(demo), 4 + 5 * Math.sqrt(shares[k]), 0, 2 * Math.PI); ctx.stroke();
      });
      mixture.demos.forEach((demo, k) => {
        ctx.globalAlpha = shares[k] / most;
        if (ctx.globalAlpha > 0.01) drawArrow(view, x, demo.map((d, i) => SHORT * (d + slope * (x[i] - tau * d))), COLOUR.data, 1.2, 6);
      });
      ctx.globalAlpha = 1;
      drawArrow(view, x, Array.from(velocity, (v) => SHORT * v), COLOUR.flow, 5, 14);
      if (view.hover) drawDot(view, x, view.ink, 4);
      const speed = Math.hypot(...velocity) || 1;
      drawText(view, x, "x", [-17 * velocity[0] / speed, 17 * velocity[1] / speed]); // behind the arrow
      fill([pair(x), `${shares.length}`, `${(100 * most).toFixed(most > 0.995 ? 0 : 1)} %`, number(1 / shares.reduce((sum, w) => sum + w * w, 0), 1),
        pair(velocity), number(Math.hypot(...velocity))]);
    }
    return view.close;
  },
};
