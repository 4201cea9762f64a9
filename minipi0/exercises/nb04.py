"""Checks of notebook 04's exercises: four buggy samplers, one Gaussian solved, orders of
convergence, Euler on any grid, pairs that keep their observation.
"""

import torch

from minipi0 import flow, toys
from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers


@exercise("04.1")
def which_bug_made_which_cloud(answer):
    """The clouds 1, 2, 3, 4 of the buggy samplers a, b, c, d: "cadb"."""
    letters = "".join(answer).replace(",", "").replace(" ", "").lower()
    if sorted(letters) != list("abcd"):
        return 'give the four letters in the order of the clouds, each once, like "abcd"'
    reasons = {
        "a": "sampler a asks for i // steps, which is 0 at every step: the mean, ten times. "
        "A tenth of the distance left is covered each time.",
        "b": "sampler b starts in one quarter of the plane only. From there, few clusters "
        "can be reached.",
        "c": "sampler c adds new noise at every step, also at the last ones, when nothing "
        "can be repaired any more.",
        "d": "sampler d leaves out the last step: the particles stop at tau = 0.9, just before "
        "the clusters.",
    }
    wrong = [mine for mine, right in zip(letters, "cadb", strict=True) if mine != right]
    if wrong:
        return f"{4 - len(wrong)} of 4 are right. A hint: {reasons[wrong[0]]}"


@exercise("04.2")
def endpoint_of_one_gaussian(answer):
    """mean + std * noise."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(50, 1, generator=generator, dtype=torch.float64)
    for mean, std in ((2.0, 0.15), (-1.0, 0.7)):
        got = torch.as_tensor(answer(noise.clone(), mean, std), dtype=torch.float64)

        def is_(wrong, got=got):
            return got.numel() in (1, len(noise)) and torch.allclose(
                got.expand_as(noise), wrong, atol=1e-6
            )

        if is_(torch.full_like(noise, mean)):
            return (
                "that is where one Euler step ends. The true path keeps the spread: "
                "its ends must be distributed as N(mean, std^2)."
            )
        if is_(mean + noise):
            return "the cloud arrives with its width of 1. The data have width std."
        if is_(mean + std**2 * noise):
            return (
                "the variance goes from 1 to std^2, so the distance to the middle shrinks by ... ?"
            )
        if is_(mean - std * noise):
            return (
                "that mirrors the cloud. In one dimension paths cannot cross, so they keep their "
                "order."
            )
        if not is_(mean + std * noise):
            return "check it at tau = 1: (x - mean) / std must still be the noise it started as."


@exercise("04.3")
def steps_for_a_tenth_of_the_error(answer):
    """(100, 100): first order, a tenth of the error takes ten times the steps; second order, ten
    times the steps leave a hundredth.
    """
    steps, factor = numbers(answer, "Euler steps, factor of the midpoint rule")
    if near(steps, 32, 1):
        return (
            "sqrt(10) times as many would do for a method of second order. "
            "Euler is of first order: error ~ 1/n."
        )
    if near(steps, 1000, 1):
        return "1,000 steps would give a hundredth."
    if not near(steps, 100, 1):
        return (
            f"{steps:g} Euler steps do not: error ~ 1/n, so a tenth of the error takes ... "
            "times the steps."
        )
    if near(factor, 0.01):
        return "0.01 of the error is what remains. By which factor has it fallen?"
    if near(factor, 25, 0.5) or near(factor, 50, 0.5):
        return (
            "midpoint pays two evaluations per step, with few as with many: "
            "ten times the evaluations are still ten times the steps."
        )
    if near(factor, 10, 0.5):
        return (
            "10 is Euler's factor for ten times the evaluations. "
            "The midpoint rule's error falls as 1/n^2."
        )
    if not near(factor, 100, 1):
        return (
            "the second number: ten times the evaluations are ten times the steps, and the error "
            "falls as 1/n^2."
        )


@exercise("04.4")
def euler_on_any_grid(answer):
    """x <- x + (tau_next - tau) v(x, tau)."""
    ring, noise = (
        toys.ring(),
        torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
    )
    even = torch.linspace(0, 1, 11, dtype=torch.float64)
    uneven = torch.tensor([0, 0.1, 0.4, 0.5, 0.9, 1], dtype=torch.float64)
    got = answer(ring.velocity, noise.clone(), even.clone())
    if isinstance(got, torch.Tensor) and got.shape == (11, *noise.shape):
        return "that is the whole path. Return where it ends."
    if not isinstance(got, torch.Tensor) or got.shape != noise.shape:
        return f"return the points at tau = 1, of shape {tuple(noise.shape)}"
    right = flow.euler(ring.velocity, noise, 10)
    if _same(got, _euler(ring.velocity, noise, even[:2])):
        return "that is one step. Go on from where it ended (is `return` inside the loop?)"
    if not _same(got, right):
        return (
            "on the even grid 0, 0.1, ..., 1 it does not agree with flow.euler in 10 steps (11 "
            "values of tau are 10 steps)."
        )
    got = answer(ring.velocity, noise.clone(), uneven.clone())
    if _same(got, flow.euler(ring.velocity, noise, 5)):
        return (
            "your steps are equal whatever the grid says. On an uneven grid a step is the "
            "difference of two neighbouring taus."
        )
    if _same(got, _euler(ring.velocity, noise, uneven, lengths=torch.full((5,), 0.2))):
        return (
            "every step has length 1/n. On an uneven grid it is the difference of two "
            "neighbouring taus."
        )
    if _same(got, _euler(ring.velocity, noise, uneven, asked=even[:10:2])):
        return (
            "the lengths are right, but you ask the field at i / n. "
            "The particle is at taus[i] by then."
        )
    if not _same(got, _euler(ring.velocity, noise, uneven)):
        return (
            "on the even grid it is right, on 0, 0.1, 0.4, 0.5, 0.9, 1 it is not: "
            "ask the field at the start of each step."
        )


@exercise("04.5")
def pairs_that_keep_their_observation(answer):
    """(actions, observation, noise), reordered: shortest pairs, each action with its own view."""
    generator = torch.Generator().manual_seed(0)
    actions, noise = torch.randn(2, 40, 2, generator=generator)
    views = actions.sum(1, keepdim=True)  # so that an action knows its own
    got = answer(actions.clone(), views.clone(), noise.clone())
    if not isinstance(got, tuple | list) or len(got) != 3:
        return "return three tensors: (actions, observation, noise)"
    a, o, e = got
    for name, mine, before in (("actions", a, actions), ("noise", e, noise)):
        if not isinstance(mine, torch.Tensor) or mine.shape != before.shape:
            return f"{name} must keep the shape {tuple(before.shape)}"
        if not _same(mine.sort(0).values, before.double().sort(0).values):
            return f"{name} are lost or doubled: reorder them, each used once."
    best = (actions[toys.optimal_pairs(actions, noise)] - noise).square().sum()
    mine = (a - e).square().sum()
    if mine > best * 1.001:
        return (
            f"the pairs' squared distances add up to {mine:.0f}, the shortest pairing has "
            f"{best:.0f}. columns[i] belongs to row i: which of the two are your rows?"
        )
    if not isinstance(o, torch.Tensor) or not _same(
        o.reshape(-1, 1), a.double().sum(1, keepdim=True)
    ):
        return (
            "the pairs are the shortest, but an action no longer has its own observation. "
            "Reorder both, or reorder the noise instead."
        )


def _same(a, b) -> bool:
    return torch.allclose(a.double(), b, atol=1e-5)


def _euler(velocity, x, taus, asked=None, lengths=None):
    """Euler on the grid `taus`, or with one thing wrong: where the field is asked, or how long the
    steps are.
    """
    for tau, length in zip(
        taus[:-1] if asked is None else asked,
        taus.diff() if lengths is None else lengths,
        strict=True,
    ):
        x = x + length * velocity(x, tau)
    return x
