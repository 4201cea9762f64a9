// Demonstrations as a mixture: a round Gaussian of width std around each, points of any number of dimensions (a chunk of 16
// way-points has 32). Plain mathematics; toys.GaussianMixture.posterior and .velocity are its twins.

// How probable each demonstration is, for a point met at x at time tau.
function posterior({ demos, std }, x, tau) {
  const variance = (tau * std) ** 2 + (1 - tau) ** 2; // of A^tau around tau times its demonstration
  const shares = new Float64Array(demos.length);
  let most = -Infinity, total = 0;
  demos.forEach((demo, k) => {
    let square = 0;
    for (let i = 0; i < x.length; i++) square += (x[i] - tau * demo[i]) ** 2;
    shares[k] = -square / (2 * variance);
    most = Math.max(most, shares[k]);
  });
  for (let k = 0; k < shares.length; k++) total += shares[k] = Math.exp(shares[k] - most); // the largest is 1
  return shares.map((share) => share / total);
}

// E[A - eps | x, demonstration k] is demo_k + slope (x - tau demo_k).
const slopeAt = (std, tau) => (tau * std * std - (1 - tau)) / ((tau * std) ** 2 + (1 - tau) ** 2);

// The marginal velocity: the demonstrations' velocities, weighted by the posterior.
function demoVelocity(mixture, x, tau) {
  const shares = posterior(mixture, x, tau), slope = slopeAt(mixture.std, tau), mean = new Float64Array(x.length);
  mixture.demos.forEach((demo, k) => {
    if (shares[k] > 1e-14) for (let i = 0; i < x.length; i++) mean[i] += shares[k] * demo[i];
  });
  return mean.map((m, i) => (1 - slope * tau) * m + slope * x[i]);
}

// n Euler steps from noise; n + 1 points.
function demoPath(mixture, noise, n) {
  const path = [Float64Array.from(noise)];
  for (let step = 0; step < n; step++) {
    const v = demoVelocity(mixture, path[step], step / n);
    path.push(path[step].map((c, i) => c + v[i] / n));
  }
  return path;
}
