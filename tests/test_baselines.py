"""The regression and its Gaussian, and their scores beside a flow's on the same recorded chunks."""

import pytest
import torch
from synthetic import TINY, Chunks, tiny

from minipi0 import (
    ExpertConfig,
    Observation,
    Pi0,
    Pi0Config,
    VisionConfig,
    evaluate,
    prompt,
    train,
    vlm,
)
from minipi0.baselines import (
    CoTrained,
    GaussianRegression,
    GiantDecoder,
    Insulated,
    Regression,
    residuals,
)
from minipi0.checkpoint import PALIGEMMA


class Coin(Chunks):
    """Chunks that go all up or all down, by a coin that the observation does not show."""

    def __init__(self):
        super().__init__()
        self.state = torch.zeros(37, 2)
        self.images.zero_()
        sign = torch.where(torch.arange(37) % 2 == 0, 1.0, -1.0)
        self.actions = sign[:, None, None].expand(37, 4, 3).clone()
        self.mask[:] = True
        self.episode_index = torch.arange(37) // 4


def regression() -> Regression:
    torch.manual_seed(0)
    return Regression(TINY)


def test_regression_predicts_the_mean_and_flow_both_sides():
    coin, items = Coin(), torch.arange(37)
    recipe = train.Recipe(steps=250, batch_size=32, warmup=10, learning_rate=3e-3)
    mean, flow = regression(), tiny()
    train.fit(mean, coin, recipe=recipe, progress=False)
    train.fit(flow, coin, recipe=recipe, progress=False)
    predicted = evaluate.open_loop(mean, coin, items, samples=1)
    sampled = evaluate.open_loop(flow, coin, items, samples=16)
    assert predicted.samples.abs().max() < 0.3, "the mean of up and down"
    ups = (sampled.samples.mean(dim=(2, 3)) > 0).double().mean()
    assert 0.2 < ups < 0.8
    assert sampled.samples.abs().mean() > 0.7, "up or down"
    assert sampled.energy().mean() < 0.8 * predicted.energy().mean()
    assert sampled.squared_error().mean() > predicted.squared_error().mean(), (
        "squared error prefers the mean"
    )
    assert (
        predicted.share_between(0, -0.5, 0.5).mean()
        > 0.9
        > 0.4
        > sampled.share_between(0, -0.5, 0.5).mean()
    )


def test_regression_ignores_noise_and_steps_but_not_the_observation():
    model, chunks = regression(), Chunks()
    observation, _, _ = chunks.batch(torch.arange(5))
    one = model.sample_actions(observation, noise=torch.randn(5, 4, 3), steps=10)
    assert torch.equal(one, model.sample_actions(observation))
    assert not torch.equal(one[0], one[1])


def test_residuals_leave_out_padded_chunks():
    model, chunks = regression(), Chunks()
    indices = torch.arange(37)
    found = residuals(model, chunks, indices, batch_size=10)
    observation, actions, mask = chunks.batch(indices[1::3])
    assert len(found) == int(chunks.mask.all(1).sum())
    with torch.no_grad():
        expected = actions - model.predict(observation)
    torch.testing.assert_close(
        found[::2][: len(expected)], expected
    )  # items 1, 2, 4, 5, …: every second is 1 modulo 3


def test_gaussian_has_the_covariance_of_the_residuals():
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(12, 12, generator=generator)
    errors = (torch.randn(5000, 12, generator=generator) @ mix).view(5000, 4, 3)
    model = GaussianRegression(regression(), errors)
    observation, _, _ = Chunks().batch(torch.zeros(4000, dtype=torch.long))
    drawn = model.sample_actions(
        observation, generator=generator
    ) - model.regression.sample_actions(observation)
    ours, theirs = drawn.flatten(1).double().T.cov(), errors.flatten(1).double().T.cov()
    assert (ours - theirs).norm() < 0.1 * theirs.norm()
    with pytest.raises(ValueError, match="12 residuals cannot tell"):
        GaussianRegression(regression(), errors[:12])


def test_open_loop_keeps_items_in_order_whatever_the_batch():
    chunks = Coin()
    items = torch.tensor([3, 0, 20, 11])
    whole = evaluate.open_loop(regression(), chunks, items, samples=2)
    parts = evaluate.open_loop(regression(), chunks, items, samples=2, batch_size=2)
    assert whole.samples.shape == (2, 4, 4, 3)
    torch.testing.assert_close(whole.samples, parts.samples)
    assert torch.equal(whole.actions, chunks.actions[items])
    assert whole.episode.tolist() == [0, 0, 5, 2]


def test_padded_steps_do_not_count_in_any_score():
    samples, actions = torch.randn(5, 2, 4, 3), torch.randn(2, 4, 3)
    mask = torch.tensor([[True, True, False, False]] * 2)
    scores = evaluate.OpenLoop(samples, actions, mask, torch.arange(2))
    garbled = evaluate.OpenLoop(samples.clone(), actions, mask, torch.arange(2))
    garbled.samples[:, :, 2:] = 99
    for name in ("energy", "squared_error", "squared_error_of_mean"):
        torch.testing.assert_close(getattr(scores, name)(), getattr(garbled, name)())
    torch.testing.assert_close(
        scores.share_between(1, -0.5, 0.5), garbled.share_between(1, -0.5, 0.5)
    )
    short = evaluate.OpenLoop(samples[:, :, :2], actions[:, :2], mask[:, :2], torch.arange(2))
    torch.testing.assert_close(scores.squared_error(), short.squared_error())


def test_spread_covers_the_data_set():
    assert evaluate.spread(range(100), 5).tolist() == [0, 25, 50, 74, 99]
    assert evaluate.spread(range(3), 10).tolist() == [0, 1, 2]


def test_ratio_of_scores_is_surer_than_the_scores():
    hard = torch.rand(60, dtype=torch.float64).exp() * torch.arange(60).div(
        6, rounding_mode="floor"
    ).add(1)  # episodes differ a lot
    ratio, low, high = evaluate.bootstrap_ratio(0.8 * hard, hard, torch.arange(60) // 6)
    assert ratio == pytest.approx(0.8) and high - low < 1e-6
    mean, low, high = evaluate.bootstrap_interval(hard, torch.arange(60) // 6)
    assert high - low > 0.3 * mean


# ---- beside a VLM ------------------------------------------------------------------------------


def vlm_model(kind):
    torch.manual_seed(0)
    heads = dict(depth=2, num_heads=2, num_kv_heads=1, head_dim=8)
    return kind(
        Pi0Config(
            vlm=ExpertConfig(width=24, mlp_dim=32, **heads),
            action_expert=ExpertConfig(width=16, mlp_dim=24, **heads),
            vision=VisionConfig(16, patch_size=8, width=16, depth=1, num_heads=2, mlp_dim=24),
            vocab_size=len(prompt.word_tokenizer()),
            action_dim=4,
            state_dim=4,
            horizon=3,
        )
    )


def asked(n=2):
    seen = torch.ones(n, 1, dtype=torch.bool)
    images = torch.rand(n, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Observation(images, seen, *vlm.questions(["find the red ball"] * n), torch.zeros(n, 4))


def test_a_giant_decoder_is_a_pi0_whose_expert_has_the_vlms_weights(tmp_path):
    giant = vlm_model(GiantDecoder).eval()
    twin = Pi0(giant.config).eval()
    shared = giant.state_dict()
    twin.load_state_dict(
        {name: shared[name.replace(".action.", ".vlm.")] for name in twin.state_dict()}
    )
    noise = torch.randn(2, 3, 4)
    expected = twin.velocity(asked(), noise, 0.3)
    torch.testing.assert_close(giant.velocity(asked(), noise, 0.3), expected)
    names = {name for name, _ in giant.named_parameters()}
    assert not any(name.startswith("experts.action.") for name in names)
    giant.save_pretrained(tmp_path)
    again = GiantDecoder.from_pretrained(tmp_path)
    torch.testing.assert_close(again.velocity(asked(), noise, 0.3), expected)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize("kind, reaches", [(Pi0, True), (GiantDecoder, True), (Insulated, False)])
def test_whether_the_actions_change_the_vlm(kind, reaches):
    model = vlm_model(kind)
    changed = gradients(model, model.loss(asked(), torch.randn(2, 3, 4)))
    assert any(name.startswith(PALIGEMMA) for name in changed) is reaches
    assert "action_out_proj.weight" in changed


def test_insulation_changes_no_number():
    noise, plain, insulated = torch.randn(2, 3, 4), vlm_model(Pi0), vlm_model(Insulated)
    torch.testing.assert_close(
        insulated.velocity(asked(), noise, 0.3), plain.velocity(asked(), noise, 0.3)
    )


def test_co_training_adds_the_vlms_own_loss():
    class Asked:
        def __len__(self):
            return 4

        def batch(self, indices):
            return asked(len(indices)), *vlm.answers(["<loc03> <loc04>"] * len(indices))

    model, actions = vlm_model(Insulated), torch.randn(2, 3, 4)
    both = CoTrained(model, Asked(), weight=2.0, batch_size=3)
    seeded = [torch.Generator().manual_seed(1) for _ in range(2)]
    wanted = model.loss(asked(), actions, generator=seeded[0])
    # every question here is the same, but the pictures differ: which are drawn, the generator tells
    indices = torch.randint(4, (3,), generator=seeded[0])
    wanted = wanted + 2 * vlm.loss(model, *Asked().batch(indices))
    found = both.loss(asked(), actions, generator=seeded[1])
    torch.testing.assert_close(found, wanted)
    assert any(name.startswith("model.vision.") for name in gradients(both, found))
