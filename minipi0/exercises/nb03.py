"""Checks of notebook 03's exercises: means of modes, odds, the three variants, a denoiser that
walks the path.
"""

import torch

from minipi0 import flow, toys
from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers


@exercise("03.1")
def where_a_regression_lands(answer):
    """Modes (-2, 0), (2, 0), (0, 2) with weights 0.5, 0.25, 0.25: the mean (-0.5, 0.5)."""
    x, y = numbers(answer, "x, y")
    if near(x, -2) and near(y, 0):
        return (
            "that is the heaviest mode. Squared error is not smallest at the likeliest action "
            "but at the mean of all."
        )
    if near(x, 0) and near(y, 2 / 3, 0.01):
        return (
            "that is the mean of the three modes without their weights; "
            "the mode on the left comes twice as often."
        )
    if near(x, 0) and near(y, 0):
        return "that is the mean of the noise. The regression's output is the mean of the actions."
    if not (near(x, -0.5) and near(y, 0.5)):
        return f"({x:g}, {y:g}) is not the mean of the actions: add up weight times position."


@exercise("03.2")
def minority_that_a_mean_survives(answer):
    """(1 - r / h) / 2."""
    cases = [(0.9, 0.4), (1.0, 0.5), (2.0, 0.4)]
    got = [float(answer(h, r)) for h, r in cases]

    def is_(formula):
        return all(
            near(value, formula(h, r), 1e-4) for value, (h, r) in zip(got, cases, strict=True)
        )

    if is_(lambda h, r: r / h):
        return "r / h is how far below the centre the mean must be, in units of h. What is p then?"
    if is_(lambda h, r: (1 + r / h) / 2):
        return "that is the share of the majority. Asked for is p < 1/2, the minority's."
    if is_(lambda h, r: 1 - r / h):
        return "almost: the mean height is -(1 - 2p) h. Mind the 2."
    if is_(lambda h, r: 0.5):
        return (
            "at p = 1/2 the mean drives through the centre of the disc. "
            "It must stay r away from it."
        )
    if not is_(lambda h, r: (1 - r / h) / 2):
        return (
            f"for h = 0.9, r = 0.4 you get p = {got[0]:.3f}. Asked is the largest p with mean "
            "height p h - (1 - p) h <= -r."
        )


@exercise("03.3")
def the_three_variants(answer):
    """(input, told, target) of no path, path not told tau, flow matching."""
    generator = torch.Generator().manual_seed(0)
    actions, noise = torch.randn(2, 5, 2, generator=generator)
    tau = torch.linspace(0.1, 0.9, 5)
    on_path = flow.interpolate(actions, noise, tau)
    for variant in "abc":
        got = answer(variant, actions.clone(), noise.clone(), tau.clone())
        if not isinstance(got, tuple | list) or len(got) != 3:
            return f'variant "{variant}": return three things, (input, told, target)'
        seen, told, target = got
        right_input, right_target = (
            (noise, actions) if variant == "a" else (on_path, actions - noise)
        )

        def same(x, y):
            return (
                isinstance(x, torch.Tensor)
                and x.shape == y.shape
                and torch.allclose(x, y, atol=1e-5)
            )

        if variant == "a" and same(seen, on_path):
            return 'variant "a" has no path: its input is the noise alone.'
        if variant != "a" and same(seen, noise):
            return (
                f'variant "{variant}" walks the path: its input is A^tau, somewhere between '
                "noise and action."
            )
        if same(seen, flow.interpolate(noise, actions, tau)):
            return "A^tau the other way round: tau = 0 is noise, so A^tau = tau A + (1 - tau) eps."
        if not same(seen, right_input):
            return f'variant "{variant}": the input is not what the table of section 3 says.'
        if (told is not None) != (variant == "c"):
            return 'only variant "c" is told tau; the others get None.'
        if variant == "c" and not same(torch.as_tensor(told), tau):
            return 'variant "c" is told tau as it is, one per item.'
        if variant != "a" and same(target, noise - actions):
            return "the sign of the target: from noise to action is A - eps."
        if variant != "a" and same(target, actions):
            return f'variant "{variant}" is asked for the velocity A - eps, not for the action.'
        if variant != "a" and same(target, actions - on_path):
            return "A - A^tau is the distance that is left. The velocity is A - eps."
        if variant == "a" and same(target, actions - noise):
            return (
                'variant "a" is asked for the action itself. (With A - eps it would learn E[A] - '
                "eps: after one step, the same.)"
            )
        if not same(target, right_target):
            return f'variant "{variant}": the target is not what the table of section 3 says.'


@exercise("03.4")
def velocity_from_a_denoiser(answer):
    """(E[A | x] - x) / (1 - tau)."""
    ring = toys.ring()
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def denoise(x, tau):  # E[A | x] follows from the exact velocity
        return x + (1 - tau) * ring.velocity(x, tau)

    velocity = answer(denoise)
    if not callable(velocity):
        return "velocity_from(denoise) must return a function (x, tau)."
    for tau in (0.0, 0.3, 0.8):
        got, right = (
            velocity(x.clone(), torch.tensor(tau, dtype=torch.float64)),
            ring.velocity(x, tau),
        )
        if not isinstance(got, torch.Tensor) or got.shape != x.shape:
            return f"velocity(x, tau) must return a tensor of x's shape, here {tuple(x.shape)}"
        if torch.allclose(got, denoise(x, tau), atol=1e-6) and not torch.allclose(
            got, right, atol=1e-6
        ):
            return "that is where the particle should end, not how fast it must move to get there."
        if tau and torch.allclose(got, denoise(x, tau) - x, atol=1e-6):
            return (
                "that is the distance left. There is only 1 - tau of the time left to cover it "
                "(10 steps would get 65 % of the way)."
            )
        if torch.allclose(got, -right, atol=1e-6):
            return "the sign: move from x towards the clean action."
        if tau and torch.allclose(got, denoise(x, tau) - (x - tau * denoise(x, tau)), atol=1e-6):
            return "x - tau A is (1 - tau) eps, not eps."
        if tau and torch.allclose(got, (denoise(x, tau) - x) / tau, atol=1e-6):
            return "tau is the time that has passed. Divide by the time that is left."
        if not torch.allclose(got, right, atol=1e-6):
            return (
                f"at tau = {tau:g} it differs from the exact velocity. "
                "Solve x = tau A + (1 - tau) eps for eps, and put it into A - eps."
            )


@exercise("03.5")
def odds_of_an_uneven_mixture(answer):
    """A quarter of the samples on the left."""
    [share] = numbers(answer, "the share on the left")
    if not 0 <= share <= 1:
        return "give a share between 0 and 1."
    if abs(share - 0.5) < 0.03:
        return (
            "half and half are the odds of the even mixture: did your weights reach "
            "GaussianMixture(means, std, weights)?"
        )
    if abs(share - 0.75) < 0.03:
        return (
            "that is the share on the right (or the weights are the wrong way round): "
            "the last 7 means have y < 0."
        )
    if share < 0.02:
        return (
            "winner takes all is one step, to the mean on the right, or a network of the "
            "likeliest action. Take 10 steps."
        )
    if abs(share - 0.25) > 0.03:
        return (
            f"{share:.2f} is not the share that 10 exact steps give: "
            "weights [1] * 7 + [3] * 7, 4,000 samples, count y > 0."
        )
