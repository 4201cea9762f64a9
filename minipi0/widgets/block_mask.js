// The row of tokens that is drawn, and the attention mask of pi0.block_mask. Plain mathematics: nothing here draws.

// [group, tokens]: few enough to see each. The first four are the prefix, the others the suffix.
const GROUPS = [["camera 1", 4], ["camera 2", 4], ["text", 5], ["padding", 2], ["state", 1], ["action", 5]];

// Every token as {name, group, prefix, start (a new block begins), valid (no padding)}.
function tokenRow({ camera, padding, causal }) {
  return GROUPS.flatMap(([group, count]) => Array.from({ length: count }, (_, i) => ({
    group, name: group === "state" ? group : `${group === "padding" && !padding ? "text" : group}${/\d/.test(group) ? ", patch" : ""} ${i + 1 + (group === "padding" && !padding ? 5 : 0)}`,
    prefix: group !== "state" && group !== "action",
    start: group === "state" || (group === "action" && (i === 0 || causal)),
    valid: !(group === "camera 2" && !camera) && !(group === "padding" && padding),
  })));
}

// True where query q may attend to key k; queries first.
function blockMask(row) {
  let number = 0;
  const block = row.map(({ start }) => (number += start ? 1 : 0));
  return row.map((q, i) => row.map((k, j) => block[j] <= block[i] && q.valid && k.valid));
}
