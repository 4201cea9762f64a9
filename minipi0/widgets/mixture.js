// Velocity fields (functions (x, y, tau) -> [vx, vy]), and paths through them. Plain mathematics: nothing here draws.

// The marginal velocity E[A - eps | A^tau = (x, y)] of a mixture of round Gaussians, exactly: the components' velocities,
// weighted by how probable it is that a point met here and now belongs to them. toys.GaussianMixture.velocity is its twin.
function mixtureField({ means, std, weights }) {
  const count = means.length, mx = means.map((m) => m[0]), my = means.map((m) => m[1]);
  const logWeights = weights.map(Math.log), shares = new Float64Array(count);
  return (x, y, tau) => { // plain loops: this runs 25,000 times when the number of Euler steps changes
    const variance = (tau * std) ** 2 + (1 - tau) ** 2; // of A^tau within a component
    const slope = (tau * std * std - (1 - tau)) / variance;
    let most = -Infinity, total = 0, vx = 0, vy = 0;
    for (let k = 0; k < count; k++) {
      shares[k] = logWeights[k] - ((x - tau * mx[k]) ** 2 + (y - tau * my[k]) ** 2) / (2 * variance);
      if (shares[k] > most) most = shares[k];
    }
    for (let k = 0; k < count; k++) {
      const share = Math.exp(shares[k] - most); // the largest is 1: no underflow, however far away
      total += share;
      vx += share * (mx[k] + slope * (x - tau * mx[k]));
      vy += share * (my[k] + slope * (y - tau * my[k]));
    }
    return [vx / total, vy / total];
  };
}

// A network's velocity, sampled by Python at `taus` times on a grid of `side` x `side` points of [-extent, extent]^2;
// data is the (taus, y, x, 2) table. Bilinear in the plane, linear in tau; at the rim it continues as the nearest point.
function float16(bits) { // from its 16 bits: few browsers have the type itself
  const exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
  return (bits >> 15 ? -1 : 1) * (exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14);
}
function gridField(data, { taus, side, extent }) {
  const cell = (value, count) => {
    const position = Math.max(0, Math.min(count - 1, value * (count - 1))), low = Math.min(Math.floor(position), count - 2);
    return [low, position - low];
  };
  return (x, y, tau) => {
    const [t, wt] = cell(tau, taus), [j, wy] = cell((y / extent + 1) / 2, side), [i, wx] = cell((x / extent + 1) / 2, side);
    const v = [0, 0];
    for (let corner = 0; corner < 8; corner++) {
      const a = corner & 1, b = (corner >> 1) & 1, c = corner >> 2;
      const weight = (a ? wx : 1 - wx) * (b ? wy : 1 - wy) * (c ? wt : 1 - wt);
      const at = 2 * (((t + c) * side + j + b) * side + i + a);
      v[0] += weight * data[at];
      v[1] += weight * data[at + 1];
    }
    return v;
  };
}

// Euler: n straight steps of length 1/n from noise (tau = 0) to an action (tau = 1). Returns n + 1 points.
function eulerPath(field, [x, y], n) {
  const path = [[x, y]];
  for (let i = 0; i < n; i++) {
    const [vx, vy] = field(x, y, i / n);
    path.push([x += vx / n, y += vy / n]);
  }
  return path;
}

// The curve itself, to about six digits: classical Runge-Kutta, 200 steps.
function exactPath(field, [x, y], n = 200) {
  const path = [[x, y]], h = 1 / n;
  for (let i = 0; i < n; i++) {
    const tau = i / n, [ax, ay] = field(x, y, tau);
    const [bx, by] = field(x + h / 2 * ax, y + h / 2 * ay, tau + h / 2);
    const [cx, cy] = field(x + h / 2 * bx, y + h / 2 * by, tau + h / 2);
    const [dx, dy] = field(x + h * cx, y + h * cy, tau + h);
    path.push([x += h / 6 * (ax + 2 * bx + 2 * cx + dx), y += h / 6 * (ay + 2 * by + 2 * cy + dy)]);
  }
  return path;
}

// Where a particle is at time tau; between its nodes it moves in a straight line.
function pathAt(path, tau) {
  const position = tau * (path.length - 1), i = Math.min(Math.floor(position), path.length - 2), w = position - i;
  return [0, 1].map((c) => (1 - w) * path[i][c] + w * path[i + 1][c]);
}

function sampleMixture({ means, std, weights }, { uniform, normal }) {
  let rest = uniform(), k = 0;
  while (k < weights.length - 1 && (rest -= weights[k]) > 0) k++;
  return means[k].map((m) => m + std * normal());
}
