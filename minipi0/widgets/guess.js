// "Predict first": one question, and a field that keeps what the reader guesses.

export default {
  render({ model, el }) {
    const root = element(el, "form", { class: "m0 m0-guess" }), box = element(root, "fieldset");
    const question = model.get("question"), choices = model.get("choices"), unit = model.get("unit");
    element(box, "legend", {}, "Predict first");
    element(box, "p", { class: "m0-note" }, question);
    const answers = element(box, "div", { class: "m0-answers" });
    const said = element(box, "p", { class: "m0-note", role: "status" });
    // In JupyterLab the answer below stays covered until there is a guess (widgets.css), or until the reader asks for it.
    const skip = addButton(box, () => { skipped = true; place(); }, "Show the answer without a guess");
    skip.className = "m0-skip";
    let skipped = false;
    const group = `m0-${Math.random()}`; // native radio buttons of one name: arrow keys move between them
    const inputs = choices.map((choice) => {
      const label = element(answers, "label");
      const input = element(label, "input", { type: "radio", name: group, value: choice });
      element(label, "span", {}, choice);
      return input;
    });
    if (!choices.length) {
      const label = element(answers, "label");
      inputs.push(element(label, "input", { type: "number", step: "any", "aria-label": question }));
      element(label, "span", {}, unit);
    }
    const guessed = (guess) => { model.set("guess", guess); model.save_changes(); };
    for (const input of inputs) input.addEventListener("input", () => { guessed(input.value); keep(question, input.value); });
    root.addEventListener("submit", (event) => event.preventDefault()); // Enter sends nothing anywhere
    keepKeys(root);

    function place() {
      const guess = model.get("guess");
      for (const input of inputs) {
        if (choices.length) input.checked = input.value === guess;
        else if (input.value !== guess) input.value = guess;
      }
      write(said, guess === "" ? "Choose before you go on." : `Your guess: ${guess}${choices.length ? "" : ` ${unit}`}. The answer comes below.`);
      root.classList.toggle("m0-waiting", guess === "" && !skipped);
      skip.hidden = guess !== "" || skipped;
    }
    model.on("change:guess", place);
    const kept = keptFor(question);
    if (!model.get("guess") && kept && (!choices.length || choices.includes(kept))) guessed(kept);
    place();
    return () => { model.off("change:guess", place); root.remove(); };
  },
};

// The browser keeps a guess for as long as it keeps anything of this page: it outlives a reload. Some pages may keep nothing.
function keep(question, guess) { try { localStorage.setItem(`minipi0: ${question}`, guess); } catch { /* then not */ } }
function keptFor(question) { try { return localStorage.getItem(`minipi0: ${question}`); } catch { return null; } }
