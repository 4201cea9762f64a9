(async (host, packed) => { // a widget without a kernel: its module, its style and its state, packed by base.Canvas.standalone
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const asBytes = (name, value) => (typeof value?.bytes === "string" ? new DataView(bytes(value.bytes).buffer) : value);
  const stream = new Blob([bytes(packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const { esm, css, state } = JSON.parse(await new Response(stream).text(), asBytes);
  const heard = {}, tell = (event) => { for (const f of [...(heard[event] || [])]) f(); };
  const model = { // what a widget asks of its model
    get: (name) => state[name], save_changes() {},
    set(name, value) { if (state[name] !== value) { state[name] = value; tell(`change:${name}`); tell("change"); } },
    on(event, f) { (heard[event] ||= []).push(f); },
    off(event, f) { heard[event] = (heard[event] || []).filter((g) => g !== f); },
  };
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  URL.revokeObjectURL(url);
  const show = () => {
    if (!document.getElementById("m0-style")) document.head.append(Object.assign(document.createElement("style"), { id: "m0-style", textContent: css }));
    host.replaceChildren();
    widget.render({ model, el: host });
  };

  // In JupyterLab and its kin this stands below the widget itself: it is shown only where that one cannot be.
  const area = host.closest(".jp-OutputArea, .cell_container") || document.body;
  const views = area.querySelectorAll('[data-mime-type="application/vnd.jupyter.widget-view+json"]');
  const lives = () => [...area.querySelectorAll(".m0")].some((node) => !node.closest(".m0-alone"));
  const lost = () => [...views].every((view) => view.textContent.startsWith("Error displaying widget"));
  host.hidden = views.length > 0;
  while (host.isConnected && views.length && !lives() && !lost()) await new Promise((done) => setTimeout(done, 100));
  if (lives()) { host.hidden = true; return; }
  for (const view of views) view.hidden = true;
  host.hidden = false;
  show();
})(document.currentScript.previousElementSibling, "PACKED");
