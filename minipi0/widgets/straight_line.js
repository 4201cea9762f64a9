// One noise point, one action, the straight line between them (pi0, arXiv 2410.24164, Sec. IV).

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "The straight line from a noise point to an action", draw });
    addSlider(view, { trait: "tau", name: "τ (0 noise, 1 action)", min: 0, max: 1, step: 0.01 });
    const fill = addTable(view, [
      ["noise ε", COLOUR.noise], ["action A", COLOUR.data], ["A^τ = τ A + (1 − τ) ε", COLOUR.path],
      ["velocity A − ε (drawn: a quarter)", COLOUR.flow], ["its length", ""], ["distance left, |A − A^τ|", ""],
    ]);
    element(view.side, "p", { class: "m0-note" },
      "Drag ε or A, or focus one and use the arrow keys. Move τ: the point moves, its velocity does not change.");
    addHandle(view, { trait: "noise", name: "noise ε", colour: COLOUR.noise });
    addHandle(view, { trait: "action", name: "action A", colour: COLOUR.data });

    function draw() {
      const noise = model.get("noise"), action = model.get("action"), tau = model.get("tau");
      const point = action.map((a, i) => tau * a + (1 - tau) * noise[i]); // A^tau
      const velocity = action.map((a, i) => a - noise[i]); // d A^tau / d tau: no tau in it
      const left = Math.hypot(action[0] - point[0], action[1] - point[1]);
      drawAxes(view);
      drawLine(view, [noise, action], COLOUR.path, 2, [6, 5]);
      drawArrow(view, point, velocity.map((v) => v / 4), COLOUR.flow, 3.5); // whole, it would leave the picture
      drawDot(view, point, COLOUR.path, 6);
      const away = [-velocity[1], -velocity[0]].map((v) => 20 * v / (Math.hypot(...velocity) || 1)); // beside the line, in pixels
      drawText(view, noise, "ε", away);
      drawText(view, action, "A", away);
      drawText(view, point, "A^τ", away.map((v) => -v));
      drawHover(view);
      fill([pair(noise), pair(action), pair(point), pair(velocity), number(Math.hypot(...velocity)), number(left)]);
    }
    return view.close;
  },
};
