"""Checks of notebook 03's exercises: means of modes, odds, the three variants, a
training step with bugs.
"""

import torch

from minipi0 import flow
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
def a_training_loss_with_three_bugs(answer):
    """Mean squared distance of network(A^tau, tau) to A - eps, after three bugs are out."""
    generator = torch.Generator().manual_seed(0)
    actions, noise = torch.randn(2, 64, 3, generator=generator)
    tau = torch.linspace(0.1, 0.9, 64)
    on_path, asked = flow.interpolate(actions, noise, tau), []

    def network(x, told, off=0.0):
        asked.append((x, told))
        return actions - noise + off

    perfect = torch.as_tensor(answer(network, actions.clone(), noise.clone(), tau.clone()))
    if len(asked) != 1:
        return f"ask the network once per step; yours asks {len(asked)} times."
    x, told = asked[0]
    if not isinstance(x, torch.Tensor) or x.shape != actions.shape:
        return f"the network's first argument is A^tau, of shape {tuple(actions.shape)}"
    if torch.allclose(x, flow.interpolate(noise, actions, tau), atol=1e-5):
        return "the path still runs from the action to the noise: at tau = 0 it must be the noise."
    if not torch.allclose(x, on_path, atol=1e-5):
        return "the network must see A^tau = tau A + (1 - tau) eps of the noise that it was given."
    if not torch.allclose(torch.as_tensor(told).float().flatten(), tau, atol=1e-5):
        return "the network must be told the tau of the point that it sees."
    if perfect.numel() != 1:
        return "return one number: the mean over the batch."
    if perfect.abs() > 1e-6:
        return (
            "a perfect network must have the loss 0 on one known pair. Yours has not: is the "
            "noise in the target the noise of the path?"
        )
    loss = float(answer(lambda x, told: network(x, told, 3.0), actions, noise, tau))
    if near(loss, 3):
        return (
            "an error of 3 costs 3: that is the absolute error, and its best answer is the median "
            "of the targets. The field is their mean."
        )
    if not near(loss, 9, 1e-2):
        return f"an error of 3 everywhere must cost 9, the mean square. Yours costs {loss:.2f}."


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
