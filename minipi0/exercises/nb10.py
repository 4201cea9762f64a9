"""Checks of notebook 10's exercises: the energy score, the mean gripper, rounding, bug hunts."""

import torch

from minipi0 import Observation, Pi0, Pi0Config, VisionConfig, evaluate, flow
from minipi0.exercises import exercise
from minipi0.exercises.answers import near, numbers


@exercise("10.1")
def score_of_certainty(answer):
    """|y - a| = |z - a| = 0.5, |y - z| = 0.6: the energy scores of always-y and of y-and-z."""
    first, second = numbers(answer, "score of always y, score of y and z")
    if near(first, 0.25, 1e-6):
        return "first: with a single answer no two samples differ, so nothing is subtracted."
    if not near(first, 0.5, 1e-6):
        return (
            "first: the distance to the demonstration is 0.5 and there is no second term, not "
            f"{first:g}."
        )
    if near(second, 0.35, 1e-6):
        return (
            "second: the sum runs over i ≠ j only. With M = 2 both of its terms are |y - z|, so "
            "their mean is 0.6, not 0.3."
        )
    if near(second, -0.1, 1e-6):
        return "second: the factor 1/2 before the second term is missing."
    if not near(second, 0.2, 1e-6):
        return (
            "second: take 0.5 and subtract half the mean distance between two different "
            f"samples; that is not {second:g}."
        )


@exercise("10.2")
def mean_gripper(answer):
    """A third closed: prediction, its squared error, the sampler's squared error."""
    names = "prediction, error of the regression, error of the sampler"
    prediction, regression, sampler = numbers(answer, names)
    if min(abs(prediction), abs(prediction - 1)) < 1e-6:
        return (
            "prediction: squared error does not vote, it averages. "
            "What is the mean of a third ones and two thirds zeros?"
        )
    if not near(prediction, 1 / 3, 5e-3):
        return f"prediction: the mean of the demonstrated values is not {prediction:g}."
    if not near(regression, 2 / 9, 5e-3):
        return (
            "error of the regression: average (1/3 - 1)² and (1/3 - 0)² with the odds 1/3 and "
            f"2/3; that is not {regression:g}."
        )
    if near(sampler, 2 / 9, 5e-3):
        return (
            "error of the sampler: it is larger than the regression's. "
            "How often do two independent draws differ?"
        )
    if not near(sampler, 4 / 9, 5e-3):
        return (
            "error of the sampler: 1 whenever sample and demonstration differ, P(1)P(0) + "
            f"P(0)P(1); that is not {sampler:g}."
        )


def _one_batch():
    """A fixed tiny model and batch on which two losses can be compared."""
    config = Pi0Config.mini(
        action_dim=3,
        state_dim=2,
        horizon=4,
        vision=VisionConfig(image_size=8, patch_size=8, width=8, depth=1, num_heads=1, mlp_dim=8),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Pi0(config).eval()
    mask = torch.ones(64, 4, dtype=torch.bool)
    mask[::2, 2:] = False
    observation = Observation(
        torch.zeros(64, 1, 3, 8, 8),
        torch.ones(64, 1, dtype=torch.bool),
        torch.ones(64, 2, dtype=torch.int64),
        torch.ones(64, 2, dtype=torch.bool),
        torch.randn(64, 2, generator=generator),
    )
    actions = torch.randn(64, 4, 3, generator=generator)
    actions[~mask] = 100.0
    return model, observation, actions, mask


@exercise("10.3")
def the_loss_that_jitters(repaired):
    """A training step in which every item has a tau of its own; padded steps do not count."""
    model, observation, actions, mask = _one_batch()
    asked, velocity = [], model.velocity

    def record(observation, noisy, tau):
        asked.append(torch.as_tensor(tau).expand(len(actions)))
        return velocity(observation, noisy, tau)

    model.velocity = record
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        got = float(repaired(model, observation, actions, mask, generator))
        if len(asked) != 1:
            return f"the model is asked {len(asked)} times: once per batch is enough."
        if len(asked[0].unique()) < 32:
            return "all items of the batch still share their tau. How many does sample_tau draw?"
        if got > 100:
            return "padded actions count now: keep the mask."
        generator, values = torch.Generator().manual_seed(2), []
        for _ in range(20):
            noise = torch.randn(actions.shape, generator=generator)
            tau = flow.sample_tau(len(actions), generator)
            noisy = flow.interpolate(actions, noise, tau)
            velocity_ = velocity(observation, noisy, tau)
            values.append(flow.loss(velocity_, actions, noise, mask).item())
    mean, spread = torch.tensor(values).mean().item(), torch.tensor(values).std().item()
    if abs(got - mean) > 5 * spread:
        return f"the loss of the test batch is {got:.2f}, expected about {mean:.2f}."


@exercise("10.4")
def round_the_gripper(answer):
    """(function, dim, low, high): it must snap that dim to the nearer of the two and leave the rest
    and its input alone.
    """
    rounded, dim, low, high = answer
    generator = torch.Generator().manual_seed(0)
    samples = low + (high - low) * torch.rand(3, 5, 4, dim + 1, generator=generator)
    before = samples.clone()
    got = rounded(samples)
    if not isinstance(got, torch.Tensor) or got.shape != samples.shape:
        return f"expected a tensor of the same shape, {tuple(samples.shape)}."
    if not torch.equal(samples, before):
        return "it changed its input: clone it first, or the unrounded samples are lost."
    if not torch.equal(got[..., :dim], before[..., :dim]):
        return "other action dims than the gripper's changed too."
    values = got[..., dim]
    if ((values == 0) | (values == 1)).all() and not {float(low), float(high)} <= {0.0, 1.0}:
        return (
            "samples are normalised: open and closed are `lowest` and `highest` there, not 0 and 1."
        )
    if not ((values == low) | (values == high)).all():
        return "some values are still between open and closed."
    if not torch.equal(values == high, before[..., dim] > (low + high) / 2):
        return "each value should go to the nearer of the two: the border is their middle."


@exercise("10.5")
def the_score_that_noise_can_buy(repaired):
    """The energy score of one item, (samples (M, H, D), a (H, D)): proper again."""
    generator = torch.Generator().manual_seed(0)
    samples, a = torch.randn(6, 4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    everything = torch.ones(1, 4, dtype=torch.bool)
    expected = evaluate.energy_score(samples[:, None], a[None], everything).item()
    to_demonstration = (samples - a).pow(2).mean((-2, -1)).sqrt().mean().item()
    got = float(repaired(samples, a))
    if abs(got - expected) < 1e-4:
        return None
    if abs(got - (2 * expected - to_demonstration)) < 1e-4:
        return "that is still their score: compare both terms with the formula above."
    if abs(got - to_demonstration) < 1e-4:
        return "without the second term the score rewards the mean. What is its factor?"
    if abs(got - (to_demonstration - (to_demonstration - expected) * 5 / 6)) < 1e-4:
        return "the mean distance is over pairs of different samples: M (M - 1) of them."
    return f"the score of the test samples is {got:.4f}, expected {expected:.4f}."
