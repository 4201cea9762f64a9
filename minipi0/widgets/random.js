// A seeded source of uniform numbers in (0, 1] (Marsaglia's xorshift), and standard normal ones from it (Box-Muller).
function randomSource(seed) {
  let state = (seed * 2654435761 + 88675123) >>> 0 || 1;
  const uniform = () => {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
    return ((state >>> 0) + 1) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}
