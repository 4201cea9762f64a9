"""Checks of notebook 02's exercises: the field at tau = 0, two answers in closed form, the loss
that remains, other targets.
"""

import torch

from minipi0 import toys
from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers


@exercise("02.1")
def before_anything_is_known(answer):
    """Clusters at (-2, 0), weight 1/4, and (2, 0), weight 3/4: the velocity at (0.5, 1), tau 0."""
    vx, vy = numbers(answer, "vx, vy")
    hints = {
        (1, 0): "(1, 0) is the mean of the actions. The velocity is A - eps, and here x *is* eps.",
        (-0.5, -1): "that is mean - x with equal weights. Three quarters of A lie on the right.",
        (-0.5, 1): "the sign: noise is subtracted, A - eps.",
        (1.5, -1): "that leads to the likelier cluster. At tau = 0 average over both.",
        (0.5, 0): "x has two components: the mean of the actions is (1, 0), and x is (0.5, 1).",
        (0.5, 1): "the sign of the second component: the mean of the actions lies below x.",
        (0, 0): "x stands still only at the mean of the actions, (1, 0).",
    }
    for (x, y), hint in hints.items():
        if near(vx, x) and near(vy, y):
            return hint
    if not (near(vx, 0.5) and near(vy, -1)):
        return (
            "at tau = 0, x is the noise and says nothing about the action: "
            "E[A] - x, with E[A] over both clusters."
        )


@exercise("02.2")
def two_answers(answer):
    """Actions -1 and +1, equally likely, in one dimension: the marginal velocity (x, tau) -> v."""
    for tau in (0.3, 0.6, 0.9, 0.0):
        x = torch.linspace(-2, 2, 41)  # float32, as the tensors a reader makes
        got = answer(x, torch.tensor(tau, dtype=torch.float64))
        if not isinstance(got, torch.Tensor) or got.shape != x.shape:
            return f"expected a tensor of shape {tuple(x.shape)}, one velocity per x"
        got, x, left = got.double(), x.double(), 1 - tau
        right = (torch.tanh(tau * x / left**2) - x) / left

        def is_(wrong, got=got, right=right):
            return torch.allclose(got, wrong, atol=1e-3) and not torch.allclose(
                right, wrong, atol=1e-3
            )

        if is_(-x / left):
            return (
                "your average gives both actions the same weight everywhere. "
                "Weigh them by how well each explains x (the posterior)."
            )
        if is_(right * left):
            return (
                "that is E[A | x] - x, the distance left. There is 1 - tau of the time to cover it."
            )
        if is_(torch.tanh(tau * x / left**2)):
            return (
                "that is E[A | x], where the point should end. How fast must it move to get "
                "there in the time that is left?"
            )
        if is_(-right):
            return "the sign: the velocity points from x to the action, A - x."
        if is_((torch.tanh(2 * tau * x / left**2) - x) / left):
            return (
                "a factor of 2 in the exponent: a Gaussian of variance s^2 is exp(-(...)^2 / (2 "
                "s^2))."
            )
        if is_((torch.tanh(tau * x) - x) / left):
            return (
                "the noise in A^tau is (1 - tau) eps, not eps: it gets narrower on the way, and "
                "the posterior surer."
            )
        if is_((torch.tanh(x / left**2) - x) / left):
            return (
                "the posterior compares x with tau * A, not with A: "
                "that is where the noise is centred."
            )
        if is_((torch.tanh(tau * x / left) - x) / left):
            return (
                "the noise in A^tau is (1 - tau) eps: its *variance* is (1 - tau)^2, and the "
                "exponent holds the variance."
            )
        if is_((torch.sign(x) - x) / left):
            return (
                "you sent every point to the nearer action. Squared error wants the mean, "
                "weighted by the posterior."
            )
        if not torch.allclose(got, right, atol=1e-3):
            return (
                f"wrong at tau = {tau}: (E[A | x] - x) / (1 - tau), with weights exp(-(x - tau "
                "A)^2 / (2 (1 - tau)^2)) for A = -1, +1."
            )


@exercise("02.3")
def what_remains(answer):
    """One Gaussian cluster of width std: (std, tau) -> Var[A - eps | A^tau] per dimension."""
    for std in (0.5, 2.0, 0.1):
        # 0.3 first, where no two formulas coincide; at 1 a right one may be 0 / 0
        for tau in (0.3, 0.8, 0.0, 0.99):
            total, cov = tau**2 * std**2 + (1 - tau) ** 2, tau * std**2 - (1 - tau)
            got, right = float(answer(std, tau)), std**2 / total
            if abs(got - right) < 1e-6 * right:
                continue
            if abs(got - (std**2 + 1)) < 1e-6:
                return (
                    "std^2 + 1 is the variance of A - eps before one has seen A^tau. "
                    "Seeing it helps: condition on it."
                )
            if abs(got - (1 - tau) ** 2 * std**2 / total) < 1e-6:
                return (
                    "that is Var[A | A^tau]. A - eps = (A - x) / (1 - tau): "
                    "its variance is (1 - tau)^-2 times as large."
                )
            if abs(got - total) < 1e-6:
                return "that is the variance of A^tau itself, not of the target given it."
            if abs(got - cov**2 / total) < 1e-6:
                return (
                    "that is the part of Var[A - eps] that A^tau explains. "
                    "What remains is the rest of std^2 + 1."
                )
            if abs(got - 2 * right) < 1e-6:
                return "twice too much: per dimension, not summed over two."
            if abs(got - (std**2 + 1 - (tau * std**2 + (1 - tau)) ** 2 / total)) < 1e-6:
                return (
                    "the covariance's sign: noise enters A - eps with a minus and A^tau with a "
                    "plus, so Cov = tau std^2 - (1 - tau)."
                )
            if abs(got - (std**2 + 1 - cov / total)) < 1e-6:
                return "the covariance enters squared: Var[u | x] = Var[u] - Cov[u, x]^2 / Var[x]."
            return (
                f"wrong at std = {std}, tau = {tau} (got {got:.4f}). "
                "Var[u | x] = Var[u] - Cov[u, x]^2 / Var[x] with u = A - eps, x = tau A + (1 - "
                "tau) eps."
            )


@exercise("02.4")
def from_action_to_velocity(answer):
    """velocity_from(predict_action) -> a function (x, tau) for flow.euler, where predict_action(x,
    tau) = E[A | A^tau = x].
    """
    ring = toys.ring()

    def predict_action(x, tau):
        return x + (1 - tau) * ring.velocity(x, tau)

    velocity = answer(predict_action)
    if not callable(velocity):
        return "return a function (x, tau) -> velocity, so that flow.euler can call it"
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for tau in (torch.tensor(t, dtype=torch.float64) for t in (0.0, 0.4, 0.9)):
        got, right, action = velocity(x, tau), ring.velocity(x, tau), predict_action(x, tau)
        if not isinstance(got, torch.Tensor) or got.shape != x.shape:
            return f"velocity(x, tau) must have x's shape, {tuple(x.shape)}"
        got = got.double()
        if tau == 0:
            if torch.allclose(got, -right, atol=1e-6):
                return "the sign: x moves towards the predicted action."
            if not torch.allclose(got, right, atol=1e-6):
                return (
                    "wrong already at tau = 0, where the velocity is predict_action(x, 0) - x: "
                    "all of the way, in all of the time."
                )
            continue
        if torch.allclose(got, action - x, atol=1e-6):
            return (
                "that is the distance left. It has to be covered in the time that is left, 1 - tau."
            )
        if torch.allclose(got, (1 - tau) * (action - x), atol=1e-6):
            return "divide by the time that is left; you multiplied by it."
        if torch.allclose(got, (action - x) / tau, atol=1e-6):
            return "tau is the time that has passed; 1 - tau is left."
        if not torch.allclose(got, right, atol=1e-6):
            return (
                f"wrong at tau = {tau:g}: how far is it from x to the predicted action, and how "
                "much time is left?"
            )


@exercise("02.5")
def the_weight(answer):
    """The weight w(tau) that makes the loss on the distance left the loss on the velocity."""
    for tau in (0.0, 0.25, 0.5, 0.9):
        got, right = float(answer(tau)), (1 - tau) ** -2
        if abs(got - right) < 1e-6 * right:
            continue
        if abs(got - 1 / (1 - tau)) < 1e-6 * right:
            return "the error enters squared, and so must the factor between the two errors."
        if abs(got - 1 / (1 - tau**2)) < 1e-6:
            return "1 - tau^2 is not (1 - tau)^2."
        if abs(got - (1 - tau) ** 2) < 1e-6 or abs(got - (1 - tau)) < 1e-6:
            return (
                "the other way round: late errors in the distance are small numbers, and must "
                "count for more."
            )
        return (
            f"wrong at tau = {tau}: the distance is (1 - tau) times the velocity, so an error in "
            "it is (1 - tau) times as large."
        )
