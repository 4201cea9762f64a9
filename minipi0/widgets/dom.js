// Small things every widget needs: nodes, texts, buttons, keys.

function element(parent, tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  parent.append(node);
  return node;
}

// Change a text only where it differs: pages lay out anew after each write, and this runs every frame.
function write(node, text) { if (node.textContent !== text) node.textContent = text; }

function addButton(parent, onClick, text = "") {
  const button = element(parent, "button", { type: "button" }, text);
  button.addEventListener("click", onClick);
  return button;
}

// JupyterLab would take arrow keys, Space and letters for itself. Escape (leave the widget), Shift+Enter and Alt+Enter (run
// the cell) and all that Ctrl or the command key begins stay JupyterLab's own.
function keepKeys(root) {
  root.addEventListener("keydown", (event) => {
    const run = event.key === "Enter" && (event.shiftKey || event.altKey);
    if (!event.ctrlKey && !event.metaKey && event.key !== "Escape" && !run) event.stopPropagation();
  });
}
