"""Checks of notebook 01's exercises: the straight line, its derivative, both directions of time,
crossing lines.
"""

import torch

from minipi0 import flow
from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers


@exercise("01.1")
def where_and_how_fast(answer):
    """eps = -1, A = 3: (A^0.25, velocity at 0.25, velocity at 0.9)."""
    names = "position at 0.25, velocity at 0.25, velocity at 0.9"
    position, early, late = numbers(answer, names)
    if near(position, 2):
        return (
            "2 is where the point is at tau = 0.75. tau = 0 is noise, 1 the action: "
            "at 0.25 it has gone a quarter of the way."
        )
    if not near(position, 0):
        return (
            f"at tau = 0.25 the point is not at {position:g}: put A = 3, eps = -1 into A^tau = "
            "tau A + (1 - tau) eps."
        )
    if near(early, -4) or near(late, -4):
        return "the sign: noise is at -1, the action at 3, and the point moves towards the action."
    if near(early, 3) or near(late, 0.4):
        return (
            "that is the distance left, A - A^tau, which shrinks on the way. "
            "The velocity is d A^tau / d tau."
        )
    if not (near(early, 4) and near(late, 4)):
        return "the velocity is the derivative of tau A + (1 - tau) eps with respect to tau."


@exercise("01.2")
def target_of_a_slow_start(answer):
    """A^tau = tau^2 A + (1 - tau^2) eps: its velocity target."""
    generator = torch.Generator().manual_seed(0)
    actions, noise = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    tau = torch.linspace(0.1, 0.9, 6, dtype=torch.float64)[:, None]
    got = answer(actions, noise, tau)
    if not isinstance(got, torch.Tensor) or got.shape != actions.shape:
        return f"expected a tensor of shape {tuple(actions.shape)}, as the actions have"

    def is_(wrong):
        return torch.allclose(got.double(), wrong.expand_as(got), atol=1e-4)

    straight = actions - noise
    if is_(straight):
        return (
            "A - eps is the target of the straight-in-time path. Here tau enters squared: "
            "the point starts slowly and ends fast."
        )
    if is_(-2 * tau * straight):
        return "the sign: at tau = 1 the point must be moving towards the action."
    if is_(tau**2 * straight):
        return "that is how far the point has come, A^tau - eps. The velocity is its derivative."
    if is_(tau**2 * actions + (1 - tau**2) * noise):
        return (
            "that is the path, A^tau itself: where the point is. "
            "The target is how fast it moves there."
        )
    if is_(tau * straight):
        return "the derivative of tau^2 is 2 tau, not tau."
    if is_(2 * straight):
        return (
            "that is the velocity on arrival. At tau = 0 the point must stand still: "
            "the target depends on tau."
        )
    if is_(2 * tau * (actions + noise)):
        return "the sign inside: the derivative of 1 - tau^2 is -2 tau."
    if not is_(2 * tau * straight):
        return (
            "differentiate tau^2 A + (1 - tau^2) eps with respect to tau, and check at tau = 0, "
            "where the point must stand still."
        )


@exercise("01.3")
def euler_in_released_time(answer):
    """euler_t(velocity_t, noise, steps): t from 1 (noise) to 0, x <- x - u / n, where u = eps - A
    as released code predicts it.
    """
    seen = []

    def velocity_t(x, t):
        t = torch.as_tensor(t, dtype=x.dtype)
        seen.append(t.flatten()[0].item())  # a number, or one per item
        return x + seen[-1]

    noise = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    got = answer(velocity_t, noise.clone(), 5)
    if isinstance(got, torch.Tensor) and got.shape == (6, *noise.shape):
        return "that is the whole path. Return where it ends."
    if not isinstance(got, torch.Tensor) or got.shape != noise.shape:
        return f"expected the actions, a tensor of shape {tuple(noise.shape)}"
    if len(seen) == 1:
        return (
            "your code asked the network once. 5 steps ask 5 times, each where the one before "
            "ended (is `return` inside the loop?)"
        )
    if len(seen) == 6 and near(seen[-1], 0):
        return (
            "5 steps ask the network 5 times, yours asked a sixth time, at t = 0, where the "
            "actions are reached already."
        )
    if len(seen) != 5:
        return f"5 steps ask the network 5 times, yours asked {len(seen)} times"
    if all(near(t, i / 5) for i, t in enumerate(seen)):
        return (
            "your t counts 0, 0.2, 0.4, ...: that is tau. In released code t = 1 is noise, and "
            "sampling starts there."
        )
    if all(near(t, 0.8 - i / 5) for i, t in enumerate(seen)):
        return "your first t is 0.8: the first step is taken from the noise itself, where t = 1."
    if all(near(t, 1 - i / 4) for i, t in enumerate(seen)):
        return (
            "your t ends at 0: five steps of 1/5 start at t = 1, 0.8, 0.6, 0.4, 0.2. "
            "The last one, from 0.2, arrives at 0."
        )
    if not all(near(t, 1 - i / 5) for i, t in enumerate(seen)):
        return f"expected t = 1, 0.8, 0.6, 0.4, 0.2, yours were {', '.join(f'{t:g}' for t in seen)}"
    got, right = got.double(), flow.euler(lambda x, tau: -velocity_t(x, 1 - tau), noise, 5)
    if torch.allclose(got, flow.euler(lambda x, tau: velocity_t(x, 1 - tau), noise, 5)):
        return (
            "the step's sign: u = eps - A points from the action to the noise, and t falls, so "
            "dt = -1/n."
        )
    if torch.allclose(got, noise - sum(noise + t for t in seen[:5]) / 5):
        return (
            "you asked for the velocity at the noise every time. "
            "Ask where the last step has led: x changes."
        )
    if not torch.allclose(got, right, atol=1e-5):
        return "the times are right, the steps are not: each is x <- x + dt * u with dt = -1/n."


@exercise("01.4")
def where_two_lines_meet(answer):
    """eps -1 -> A 2 and eps 1 -> A -1: (tau, x, what the network answers there)."""
    tau, x, velocity = numbers(answer, "tau, x, the network's answer")
    if near(tau, 0.6):
        return (
            "0.6 is that moment in released code's t. In tau (0 is noise) solve -1 + 3 tau = 1 - "
            "2 tau."
        )
    if not near(tau, 0.4):
        return "the lines are -1 + 3 tau and 1 - 2 tau: at which tau are they equal?"
    if not near(x, 0.2):
        return "the moment is right. Put tau = 0.4 into either line."
    if near(velocity, 3) or near(velocity, -2):
        return (
            "that is the velocity of one of the pairs. The network sees only (x, tau), the same "
            "for both: which one answer costs least?"
        )
    if near(velocity, 2.5):
        return (
            "(3 - (-2)) / 2 is half their difference. The mean is half their sum, signs included."
        )
    if near(velocity, 1):
        return "that is the sum of both velocities. Squared error is least at their mean."
    if not near(velocity, 0.5):
        return (
            "the two velocities there are 3 and -2, equally likely: "
            "which single number has the least mean squared error?"
        )


@exercise("01.5")
def both_ends(answer):
    """ends(x, velocity, tau) -> (noise, action) of the straight line through x."""
    generator = torch.Generator().manual_seed(1)
    actions, noise = torch.randn(2, 6, 4, 2, generator=generator, dtype=torch.float64)
    for tau in (0.0, 0.3, 0.8):
        x, velocity = flow.interpolate(actions, noise, tau), flow.velocity_target(actions, noise)
        got = answer(x, velocity, tau)
        if not isinstance(got, tuple | list | torch.Tensor) or len(got) != 2:
            return "return two tensors: (noise, action)"
        start, end = (part.double() if isinstance(part, torch.Tensor) else part for part in got)
        if not all(
            isinstance(part, torch.Tensor) and part.shape == x.shape for part in (start, end)
        ):
            return f"noise and action both have x's shape, {tuple(x.shape)}"
        if torch.allclose(start, x - (1 - tau) * velocity) and torch.allclose(
            end, x + tau * velocity
        ):
            return (
                "you went back for 1 - tau and on for tau, as if tau were released code's t. "
                "Here tau has passed, 1 - tau is left."
            )
        if torch.allclose(start, actions) and torch.allclose(end, noise):
            return "both are right, in the other order: (noise, action)"
        if torch.allclose(end, x + velocity) and tau:
            return f"x + velocity overshoots: at tau = {tau} only 1 - tau of the time is left."
        if not torch.allclose(end, actions):
            return (
                f"the action is wrong at tau = {tau}: from x, with constant velocity, for how "
                "much longer?"
            )
        if not torch.allclose(start, noise):
            return (
                f"the noise is wrong at tau = {tau}: go back from x, with the same velocity, for "
                "the time that has passed."
            )
