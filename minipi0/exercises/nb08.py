"""Notebook 08's checks: the clock, a velocity as a noise, what a median does, a sampler's fault."""

import torch

from minipi0 import toys
from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers

# alpha_bar after 1, 2, … of 20 steps of Nichol and Dhariwal's cosine schedule
_t = torch.linspace(0, 1, 21, dtype=torch.float64)
_power = torch.cos((_t + 0.008) / 1.008 * torch.pi / 2) ** 2
SCHEDULE = (_power[1:] / _power[:-1]).clamp(min=0.001).cumprod(0)


@exercise("08.1")
def where_flow_matching_stands(answer):
    """tau = a / (a + s)."""
    for alpha_bar in (0.5, 0.9, 0.04):
        a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        got = float(answer(alpha_bar))
        if near(got, a, 1e-6) and not near(a, a / (a + s), 1e-6):
            return (
                "that is the amplitude a of the action. On flow matching's line the two factors "
                "add up to 1: divide by a + s."
            )
        if near(got, alpha_bar / (alpha_bar + 1 - alpha_bar), 1e-6) and alpha_bar != 0.5:
            return "alpha_bar is a power, a squared. The factors are its root and that of the rest."
        if near(got, s / (a + s), 1e-6) and alpha_bar != 0.5:
            return "that is the share of the noise, 1 - tau. tau is the share of the action."
        if not near(got, a / (a + s), 1e-6):
            return (
                f"for alpha_bar = {alpha_bar:g} you say tau = {got:.4f}. Write x = a A + s eps, "
                "divide by a + s, and read the factor of A."
            )


@exercise("08.2")
def a_velocity_as_a_noise(answer):
    """noise(x, alpha_bar) = y - tau v(y, tau) with y = x / (a + s)."""
    ring = toys.ring()
    noise_of = answer(ring.velocity)
    for alpha_bar in (0.5, 0.9, 0.2):
        a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        tau = a / (a + s)
        x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        got, right = noise_of(x.clone(), alpha_bar), ring.noise(x, alpha_bar)
        if got is None or got is ...:
            return "noise_of still returns nothing"
        y = x / (a + s)

        def is_(wrong, got=got):
            return torch.allclose(got, wrong, atol=1e-6)

        if is_(x - tau * ring.velocity(x, tau)):
            return (
                "the velocity belongs to flow matching's line: ask for it at x / (a + s), not at x."
            )
        if is_(x - tau * ring.velocity(y, tau)):
            return "you asked at the right point, but then took the noise out of x instead of it."
        if is_(y + (1 - tau) * ring.velocity(y, tau)):
            return "that is the action, E[A | x]. The noise lies at the other end of the line."
        if not is_(right):
            off = (got - right).abs().max().item()
            return (
                f"for alpha_bar = {alpha_bar:g} it is off by up to {off:.2g}. "
                "From y = tau A + (1 - tau) eps and v = A - eps, what is eps?"
            )


@exercise("08.3")
def what_a_median_does(answer):
    """Six of ten pass at -0.18 m, four at +0.18 m: the mean is -0.036, the median -0.18."""
    l2, l1 = numbers(answer, "where the L2 regression passes, where the L1 regression passes")
    if near(l2, 0.036) or near(l1, 0.18):
        return "the sign: six of ten pass on the left, at -0.18 m."
    if near(l2, -0.18) and near(l1, -0.036):
        return "the other way round: the square makes a mean, the absolute value a median."
    if near(l1, 0) or near(l1, -0.036):
        return (
            "the first is right or not, but the second: move x a little to the left of 0. Six "
            "errors shrink, four grow. So the sum of absolute errors falls, until where?"
        )
    if near(l2, 0):
        return "the two sides are not equally frequent: weigh them."
    if not (near(l2, -0.036) and near(l1, -0.18)):
        return "minimise the mean of (x - y)^2, and of |x - y|, over the ten demonstrated y."


@exercise("08.4")
def steps_that_end_where_the_data_are(answer):
    """A sampler (noise_of, schedule, x, generator) -> points; its last step adds noise."""
    ring = toys.ring()
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1500, 2, generator=generator)
    state = generator.get_state()
    found = {}
    for last in (False, True):  # whether the last step adds noise
        generator.set_state(state)
        found[last] = right_sampler(ring.noise, SCHEDULE, x, generator, last)
    generator.set_state(state)
    got = torch.as_tensor(answer(ring.noise, SCHEDULE, x.clone(), generator)).to(x.dtype)
    if got.shape != x.shape:
        return f"return the points, {tuple(x.shape)}: yours have shape {tuple(got.shape)}"
    if torch.allclose(got, found[True], atol=1e-4):
        return (
            "that still ends with noise that nobody takes away. Which of the 20 steps is the last?"
        )
    off, right = (_width(points, ring) for points in (got, found[False]))
    if not got.isfinite().all() or off > 1.1 * right:
        return (
            f"the points lie {off:.3f} around their means (root mean square), a right sampler's "
            f"{right:.3f}."
        )
    if off < 0.85 * right:
        return (
            f"now the points are too close to their means, {off:.3f} instead of {right:.3f}: "
            "only the last step is without noise."
        )


def right_sampler(noise_of, schedule, x, generator, noise_in_the_last_step=False):
    """DDPM's steps, written out."""
    bars = [1.0, *schedule.tolist()]
    for k in reversed(range(len(schedule))):
        kept, bar = bars[k + 1] / bars[k], bars[k + 1]
        x = (x - (1 - kept) / (1 - bar) ** 0.5 * noise_of(x, bar)) / kept**0.5
        if k > 0 or noise_in_the_last_step:
            x = x + (1 - kept) ** 0.5 * torch.randn(x.shape, generator=generator)
    return x


def _width(points, ring) -> float:
    """How far the points lie from the nearest mean, root mean square, strays left out."""
    distance = torch.cdist(points.double(), ring.means).min(1).values
    return distance[distance < 0.8].square().mean().sqrt().item()
