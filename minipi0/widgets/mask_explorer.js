// The attention mask as a table: a row for each query, a column for each key. Ten Euler passes fill it again and again.
const COLOURS = { "camera 1": COLOUR.image, "camera 2": COLOUR.image, text: COLOUR.text, padding: COLOUR.padding, state: COLOUR.state, action: COLOUR.action };
const SWITCHES = { camera: "camera 2 is there", padding: "the text has padding", causal: "causal actions (not π0)", cache: "keep the prefix (KV cache)" };
const PASSES = 10;
const LEGEND = "A cell has the colour of its key. It is grey where its row is kept from pass 1.";
const COUNTED = "Counted are the multiplications and additions of all matrix products of the full π0 (3 cameras, 48 text tokens, 50 actions): "
  + "images, projections, MLPs, and attention's QKᵀ and AV. In each pass the 51 queries of the suffix meet the keys of prefix and suffix, 816 + 51. "
  + "What the mask forbids is computed too, and then left out: a missing camera saves nothing.";

export default {
  render({ model, el }) {
    const view = openView(model, el, { label: "Attention mask: a row for each query, a column for each key", draw });
    const switches = Object.entries(SWITCHES).map(([trait, text]) => {
      const label = element(view.side, "label", { class: "m0-check" }), input = element(label, "input", { type: "checkbox" });
      element(label, "span", {}, text);
      input.addEventListener("change", () => view.set({ [trait]: input.checked }));
      return [input, trait];
    });
    addSlider(view, { trait: "passes", name: "Euler pass", min: 0, max: PASSES, step: 1, digits: 0 });
    const buttons = element(view.side, "div", { class: "m0-row" });
    const next = addButton(buttons, () => view.set({ passes: (model.get("passes") + 1) % (PASSES + 1) }));
    const fill = addTable(view, ["token", "attends to", "attended to by", "computed, with cache", "of it QKᵀ and AV", "computed, without",
      "of it QKᵀ and AV"].map((text) => [text, ""]));
    const note = element(view.side, "p", { class: "m0-note", role: "status" });
    element(view.side, "p", { class: "m0-note" }, LEGEND);
    element(view.side, "p", { class: "m0-note" }, COUNTED);
    view.canvas.tabIndex = 0;

    const edge = 0.17; // of the picture: names and group colours
    let mouse = -1;
    const tokenAt = (event) => { // below and right of the edge: the row's token; above: the column's
      const box = view.canvas.getBoundingClientRect(), n = GROUPS.reduce((sum, [, count]) => sum + count, 0);
      const [right, down] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      const place = down < edge ? right : down, i = Math.floor((place - edge) / (1 - edge) * n);
      return i >= 0 && i < n ? i : -1;
    };
    view.on(view.canvas, "pointermove", (event) => { mouse = event.pointerType === "touch" ? -1 : tokenAt(event); view.redraw(); });
    view.on(view.canvas, "pointerleave", () => { mouse = -1; view.redraw(); });
    view.on(view.canvas, "click", (event) => view.set({ token: tokenAt(event) }));
    view.on(view.canvas, "keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const n = tokenRow({}).length;
      view.set({ token: (Math.max(model.get("token"), step < 0 ? 0 : -1) + step + n) % n });
    });

    function draw() {
      const chosen = Object.fromEntries(switches.map(([, trait]) => [trait, model.get(trait)]));
      for (const [input, trait] of switches) input.checked = chosen[trait];
      const row = tokenRow(chosen), mask = blockMask(row), passes = model.get("passes"), token = mouse >= 0 ? mouse : model.get("token");
      const { ctx, size, ink } = view, left = edge * size, cell = (size - left) / row.length;
      const cached = (i) => row[i].prefix && chosen.cache && passes > 1; // computed in the first pass, kept since
      const colourOf = ({ group }) => COLOURS[group === "padding" && !chosen.padding ? "text" : group];
      // ---- the table
      row.forEach((q, i) => row.forEach((k, j) => {
        const x = left + j * cell, y = left + i * cell, lit = token < 0 || i === token || j === token;
        ctx.fillStyle = mask[i][j] ? (cached(i) ? COLOUR.noise : colourOf(k)) : ink;
        ctx.globalAlpha = mask[i][j] ? (lit ? 1 : 0.25) : 0.06;
        ctx.fillRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
      }));
      // ---- its edges: keys above, queries at the left; a group's name stands once
      ctx.font = `${Math.max(9, Math.min(12, size / 38))}px sans-serif`;
      let first = 0;
      for (const [group, count] of GROUPS) {
        const at = left + first * cell, middle = at + count * cell / 2, off = !row[first].valid;
        ctx.globalAlpha = off ? 0.3 : 1;
        for (let i = 0; i < count; i++) {
          ctx.fillStyle = cached(first + i) ? COLOUR.noise : colourOf(row[first + i]);
          ctx.fillRect(left - 6, at + i * cell + 0.5, 4, cell - 1);
          ctx.fillRect(at + i * cell + 0.5, left - 6, cell - 1, 4);
        }
        ctx.globalAlpha = off ? 0.7 : 1;
        ctx.fillStyle = ink;
        ctx.textAlign = "right"; ctx.textBaseline = "middle";
        ctx.fillText(group === "action" ? "actions" : group, left - 10, middle);
        ctx.save(); ctx.translate(middle, left - 10); ctx.rotate(-Math.PI / 3);
        ctx.textAlign = "left"; ctx.fillText(group === "action" ? "actions" : group, 0, 0);
        ctx.restore();
        first += count;
      }
      ctx.globalAlpha = 1;
      ctx.textAlign = "left"; ctx.fillText("query ↓  key →", 2, 10);
      if (token >= 0) {
        Object.assign(ctx, { strokeStyle: ink, lineWidth: 2 });
        ctx.strokeRect(left, left + token * cell, size - left - 1, cell);
        ctx.strokeRect(left + token * cell, left, cell, size - left - 1);
      }
      // ---- numbers
      const count = (flags) => { const n = flags.filter(Boolean).length; return n === 1 ? "1 token" : `${n} tokens`; };
      const computed = ["", "attention_"].map((part) => [model.get(`prefix_${part}tflop`), model.get(`step_${part}tflop`)]);
      const tera = (value) => `${number(value, 2)} TFLOP`;
      fill([token < 0 ? "–" : row[token].name, token < 0 ? "–" : count(mask[token]), token < 0 ? "–" : count(mask.map((line) => line[token])),
        ...computed.map(([prefix, step]) => tera(passes ? prefix + passes * step : 0)), ...computed.map(([prefix, step]) => tera(passes * (prefix + step)))]);
      write(next, passes < PASSES ? `Euler pass ${passes + 1}` : "Start again");
      write(note, sentence(row, mask, token) + " " + told(passes, chosen.cache));
    }
    return view.close;
  },
};

// Which groups, in the order of the row.
function groupsOf(row, flags) {
  const names = [...new Set(row.filter((_, i) => flags[i]).map(({ group }) => (group === "action" ? "actions" : group)))];
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

function sentence(row, mask, token) {
  if (token < 0) return "Point at a row, or click it; arrow keys move on. The row is a query, the columns are the keys.";
  const name = row[token].name[0].toUpperCase() + row[token].name.slice(1), by = mask.map((line) => line[token]);
  if (!row[token].valid) return `${name}: nobody attends to it, and it attends to nobody.`;
  return `${name} attends to ${groupsOf(row, mask[token])}. Who attends to it: ${groupsOf(row, by)}.`;
}

function told(passes, cache) {
  if (!passes) return "No pass has been computed yet.";
  if (passes === 1) return "The first pass computes all rows.";
  return cache ? `Pass ${passes} computes the rows of state and actions only: grey rows were computed in pass 1, and their keys and values are kept.`
    : `Without a cache, pass ${passes} computes the prefix again, with the same result.`;
}
