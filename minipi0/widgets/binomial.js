// The chances behind a comparison of two success rates, as in minipi0/planning.py.

const logFactorials = [0, 0];
function logFactorial(n) {
  while (logFactorials.length <= n) logFactorials.push(logFactorials.at(-1) + Math.log(logFactorials.length));
  return logFactorials[n];
}

// P(k of n succeed) at rate p.
function binomial(k, n, p) {
  if (p <= 0 || p >= 1) return k === (p <= 0 ? 0 : n) ? 1 : 0;
  return Math.exp(logFactorial(n) - logFactorial(k) - logFactorial(n - k) + k * Math.log(p) + (n - k) * Math.log(1 - p));
}

// The area of the standard normal below x (Abramowitz & Stegun 7.1.26: at most 1.5e-7 off).
function normalBelow(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x) / Math.SQRT2);
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x / 2);
  return x > 0 ? 1 - tail / 2 : tail / 2;
}

const Z95 = 1.959963984540054, Z80 = 0.8416212335729143;

// Wilson's 95 % interval around the observed rate p of n trials.
function wilson(p, n) {
  const scale = 1 + Z95 ** 2 / n, middle = (p + Z95 ** 2 / (2 * n)) / scale;
  const half = Z95 / scale * Math.sqrt(p * (1 - p) / n + Z95 ** 2 / (4 * n * n));
  return [middle - half, middle + half];
}

// The highest correlation that successes at rates p1 and p2 can have.
function highestCorrelation(p1, p2) {
  const scale = Math.sqrt(p1 * (1 - p1) * p2 * (1 - p2));
  return scale ? (Math.min(p1, p2) - p1 * p2) / scale : 0;
}

// Chances that only the first succeeds at a start, and only the second.
function decisive(p1, p2, correlation) {
  const both = p1 * p2 + correlation * Math.sqrt(p1 * (1 - p1) * p2 * (1 - p2));
  return [Math.max(0, p1 - both), Math.max(0, p2 - both)];
}

// How often the first has more successes in n trials each, as many, fewer.
function whoWins(p1, p2, n, correlation) {
  const [first, second] = decisive(p1, p2, correlation), decided = first + second;
  if (decided === 0) return [0, 1, 0];
  let ahead = 0, behind = 0;
  for (let m = 0; m <= n; m++) {
    const chance = binomial(m, n, decided);
    if (chance < 1e-12) continue;
    for (let k = 0; k <= m; k++) {
      if (2 * k === m) continue;
      const part = chance * binomial(k, m, first / decided);
      if (2 * k > m) ahead += part; else behind += part;
    }
  }
  return [ahead, Math.max(0, 1 - ahead - behind), behind];
}

function halfWidth(p1, p2, n, correlation) {
  const [first, second] = decisive(p1, p2, correlation);
  return Z95 * Math.sqrt((first + second - (p1 - p2) ** 2) / n);
}

// How often n trials each find the difference (McNemar's test, normal approximation).
function power(p1, p2, n, correlation) {
  const [first, second] = decisive(p1, p2, correlation), decided = first + second, difference = Math.abs(p1 - p2);
  const spread = Math.sqrt(Math.max(0, decided - difference ** 2));
  const short = Z95 * Math.sqrt(decided) - difference * Math.sqrt(n);
  if (spread < 1e-9) return difference ? Number(short < 0) : 0.05;
  return normalBelow(-short / spread);
}

// How many trials each find it in 80 % of the cases.
function needed(p1, p2, correlation) {
  const [first, second] = decisive(p1, p2, correlation), decided = first + second, difference = Math.abs(p1 - p2);
  if (difference < 1e-9) return Infinity;
  const spread = Math.sqrt(Math.max(0, decided - difference ** 2));
  return Math.ceil(((Z95 * Math.sqrt(decided) + Z80 * spread) / difference) ** 2 - 1e-9);
}
