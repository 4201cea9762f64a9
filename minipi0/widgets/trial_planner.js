// Two policies, n trials each. Above: how many successes luck hands out. Below: how the chance to find the difference grows with n.
const MOST = 1000, LEAST = 5;
const percent = (p) => `${Math.round(100 * p)} %`;

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "Two success rates, and what n trials of each will show", draw });
    addSlider(view, { trait: "p1", name: "rate of policy 1", min: 0.01, max: 0.99, step: 0.01 });
    addSlider(view, { trait: "p2", name: "rate of policy 2", min: 0.01, max: 0.99, step: 0.01 });
    addSlider(view, { trait: "n", name: "trials each, n", min: LEAST, max: MOST, step: 1, digits: 0 });
    addSlider(view, { trait: "correlation", name: "correlation, same starts", min: 0, max: 0.9, step: 0.05 });
    const fill = addTable(view, [
      ["policy 1, typical interval", COLOUR.flow], ["policy 2, typical interval", COLOUR.one_step], ["difference, typical interval", ""],
      ["1 ahead / level / 2 ahead", ""], ["chance to find the difference", ""], ["trials each for a chance of 80 %", ""],
      ["the same with other starts", ""],
    ]);
    const note = element(view.side, "p", { class: "m0-note" });

    function draw() {
      const { ctx, size, ink } = view;
      const [p1, p2, n] = ["p1", "p2", "n"].map((name) => model.get(name));
      const highest = highestCorrelation(p1, p2), rho = Math.min(model.get("correlation"), highest);
      const left = 42, right = size - 22, across = (share) => left + share * (right - left);
      const line = (points, colour, width = 2, dash = []) => {
        Object.assign(ctx, { strokeStyle: colour, lineWidth: width });
        ctx.setLineDash(dash); ctx.beginPath(); for (const point of points) ctx.lineTo(...point); ctx.stroke(); ctx.setLineDash([]);
      };
      const narrow = size < 330;
      const text = (words, x, y, align = "center") => {
        Object.assign(ctx, { fillStyle: ink, font: `${narrow ? 10 : 12}px sans-serif`, textAlign: align, textBaseline: "middle" });
        ctx.fillText(words, x, y, size - left); // set closer where there is too little room
      };

      // above: the chance of every number of successes, and the interval around the expected one
      const base = Math.min(0.36 * size, 0.5 * size - 54), top = 26;
      const chances = [p1, p2].map((p) => Array.from({ length: n + 1 }, (_, k) => binomial(k, n, p)));
      const peak = Math.max(...chances.flat()), width = Math.max((right - left) / n, 2);
      text(`successes in ${n} trials: how likely is each number`, left, 10, "left");
      chances.forEach((chance, i) => {
        const colour = i ? COLOUR.one_step : COLOUR.flow, p = i ? p2 : p1, y = base + 30 + 12 * i;
        ctx.fillStyle = colour;
        chance.forEach((c, k) => {
          const high = c / peak * (base - top), bar = Math.max(0.44 * Math.min(width, 24), 1);
          ctx.fillRect(across(k / n) + (i ? 0 : -bar), base - high, bar, high);
        });
        line(wilson(p, n).map((p) => [across(p), y]), colour, 4);
        ctx.fillStyle = colour; ctx.beginPath(); ctx.arc(across(p), y, 5, 0, 2 * Math.PI); ctx.fill();
      });
      line([[left, base], [right, base]], ink, 1);
      for (const share of [0, 0.25, 0.5, 0.75, 1]) text(percent(share), across(share), base + 12);

      // below: power over n, on a logarithmic axis
      const floor = size - 40, ceiling = 0.56 * size, up = (chance) => floor - chance * (floor - ceiling);
      const along = (n) => across(Math.log(n / LEAST) / Math.log(MOST / LEAST));
      const counts = Array.from({ length: 81 }, (_, i) => LEAST * (MOST / LEAST) ** (i / 80));
      text("chance to find the difference, over trials each", left, ceiling - 16, "left");
      for (const chance of [0, 0.5, 0.8, 1]) {
        ctx.globalAlpha = 0.3; line([[left, up(chance)], [right, up(chance)]], ink, 1, chance === 0.8 ? [4, 4] : []); ctx.globalAlpha = 1;
        text(percent(chance).replace(" ", ""), left - 4, up(chance), "right");
      }
      for (const count of narrow ? [5, 10, 50, 200, 1000] : [5, 10, 20, 50, 100, 200, 500, 1000]) text(`${count}`, along(count), floor + 12);
      line(counts.map((c) => [along(c), up(power(p1, p2, c, 0))]), COLOUR.noise, 2, [6, 4]);
      line(counts.map((c) => [along(c), up(power(p1, p2, c, rho))]), COLOUR.data, 3);
      const found = power(p1, p2, n, rho);
      ctx.fillStyle = COLOUR.data; ctx.beginPath(); ctx.arc(along(n), up(found), 6, 0, 2 * Math.PI); ctx.fill();
      text("blue: same starts; grey, dashed: other starts", left, size - 8, "left");

      const between = ([low, high]) => `${percent(low)} to ${percent(high)}`, half = halfWidth(p1, p2, n, rho);
      const trials = (count) => (Number.isFinite(count) ? `${count}` : "no number finds what is not there");
      fill([between(wilson(p1, n)), between(wilson(p2, n)),
        minus(`${Math.round(100 * (p1 - p2))} ± ${Math.round(100 * half)} points`), whoWins(p1, p2, n, rho).map(percent).join(" / "),
        percent(found), trials(needed(p1, p2, rho)), trials(needed(p1, p2, 0))]);
      write(note, model.get("correlation") > rho + 1e-9
        ? `Successes with these two rates correlate by ${number(highest)} at most: that is used.`
        : "Bars above: green is policy 1, orange is policy 2; where they overlap, luck decides who looks better.");
    }
    return view.close;
  },
};
