// A Play button: tau follows the clock. Somebody who asked for less motion gets ten still pictures instead.
const DURATION = 4000; // ms from tau = 0 to 1

// Adds the button to `parent`. Traits: playing, tau. Returns {button, stop}; call stop when the view closes.
function addPlay(view, parent) {
  const { model } = view;
  const button = addButton(parent, () => view.set({ playing: !model.get("playing"), tau: model.get("tau") < 1 ? model.get("tau") : 0 }));
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0, from = null; // from: {tau, time} of the last tau that did not come from the clock; the last tau and time since
  function tick(time) {
    frame = 0;
    if (!model.get("playing")) { from = null; model.save_changes(); return; }
    const tau = model.get("tau");
    // started, moved by hand or from Python, or the page was hidden for a while
    if (!from || tau !== from.last || time > from.seen + 1000) from = { tau, time };
    const elapsed = (time - from.time) / DURATION;
    const next = Math.min(1, from.tau + (calm.matches ? Math.floor(10 * elapsed) / 10 : elapsed));
    Object.assign(from, { last: next, seen: time });
    if (next !== tau) model.set("tau", next); // Python hears of it at the end: sixty messages a second would slow the picture
    if (next === 1) view.set({ playing: false });
    frame = requestAnimationFrame(tick);
  }
  const start = () => { if (model.get("playing")) frame ||= requestAnimationFrame(tick); };
  view.on(model, "change:playing", start);
  view.places.push(() => write(button, model.get("playing") ? "Pause" : "Play"));
  start();
  return { button, stop: () => cancelAnimationFrame(frame) };
}
