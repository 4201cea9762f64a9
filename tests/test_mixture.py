"""Smaller robots in a larger model: padded and masked; and several data sets in one run."""

import numpy as np
import pytest
import torch

from minipi0 import Pi0, Pi0Config, data
from minipi0.checkpoint.about import of_data_set
from minipi0.data.writer import Episode, write
from minipi0.robot.policy import Policy
from minipi0.robot.trials import Setting
from minipi0.train import Recipe, fit
from minipi0.train.command import main

SIMULATED = "metaworld-two-ways"


@pytest.fixture(scope="module")
def smaller(tmp_path_factory) -> str:
    """A second data set: another robot with two joints, three actions and no camera."""
    folder = tmp_path_factory.mktemp("data") / "smaller"
    generator = np.random.default_rng(0)
    episodes = [
        Episode(generator.normal(5, 2, (12, 2)), generator.normal(-1, 3, (12, 3)), "wave")
        for _ in range(6)
    ]
    write(folder, episodes, fps=20, state_names=["a", "b"], action_names=["x", "y", "z"])
    return str(folder)


def test_a_smaller_robot_is_padded_and_masked():
    plain = data.load(SIMULATED, horizon=6)
    wide = data.load(SIMULATED, horizon=6, state_dim=6, action_dim=7, cameras=[None, "front", None])
    o, actions, mask = plain.batch([0, 30])
    seen, padded, real = wide.batch([0, 30])
    assert padded.shape == real.shape == (2, 6, 7) and seen.state.shape == (2, 6)
    assert torch.equal(padded[..., :4], actions) and not padded[..., 4:].any()
    assert torch.equal(seen.state[:, :4], o.state) and not seen.state[:, 4:].any()
    assert torch.equal(real[..., 0], mask) and not real[..., 4:].any()
    assert seen.image_mask.tolist() == [[False, True, False]] * 2
    assert torch.equal(seen.images[:, 1], o.images[:, 0])
    assert wide.stats["action_mean"].shape == (4,) and wide.about()["cameras"][0] is None
    model = Pi0(Pi0Config.mini(7, 6, horizon=6)).eval()
    given = dict(noise=torch.randn(2, 6, 7), tau=torch.tensor([0.2, 0.7]), action_mask=real)
    loss = model.loss(seen, padded, **given)
    once = data.load(SIMULATED, horizon=6, state_dim=6, action_dim=7).batch([0, 30])[0]
    torch.testing.assert_close(model.loss(once, padded, **given), loss)  # a slot is nothing
    for dims in (dict(state_dim=3), dict(action_dim=3)):
        with pytest.raises(ValueError, match="has 4 dims, which do not fit into .*_dim=3"):
            data.load(SIMULATED, horizon=6, **dims)


def test_a_mixture(smaller):
    mixed = data.load([SIMULATED, smaller], horizon=6, weights=[1, 3])
    one, two = mixed.parts
    assert (mixed.state_dim, mixed.action_dim) == (4, 4) and len(mixed.cameras) == 1
    counts = mixed.counts.tolist()
    assert counts[0] == len(one) and counts[1] == pytest.approx(3 * counts[0], abs=1)
    i = [0, counts[0] + 5, 7, counts[0] + len(two) + 5]
    seen, actions, mask = mixed.batch(i)
    assert seen.image_mask.tolist() == [[True], [False], [True], [False]]
    assert torch.equal(actions[1], actions[3]), "items of the smaller one come again"
    assert mask[0].any(0).tolist() == [True] * 4 and mask[1].any(0).tolist() == [True] * 3 + [False]
    alone = data.load(smaller, horizon=6)  # normalised by its own statistics
    assert torch.equal(actions[1, :, :3], alone[5][1])
    assert seen.tokens.shape[1] == max(one.tokens.shape[1], two.tokens.shape[1])
    every = mixed.episode_index
    assert len(every) == len(mixed) and len(every.unique()) == len(mixed.episodes)
    assert len(mixed[len(mixed) - 1]) == 3 and len(next(iter(mixed.batches(5)))) == 3
    with pytest.raises(IndexError, match="items are numbered 0"):
        mixed.batch([len(mixed)])


def test_without_weights_every_item_comes_once(smaller):
    mixed = data.load([SIMULATED, smaller], horizon=6)
    assert len(mixed) == sum(len(part) for part in mixed.parts)


def test_mixtures_that_cannot_be(smaller):
    both = [SIMULATED, smaller]
    for weights in ([1], [1, 0], [1, -1], [1, float("nan")], [1, float("inf")]):
        with pytest.raises(ValueError, match="weights must be 2 positive numbers"):
            data.load(both, horizon=6, weights=weights)
    with pytest.raises(ValueError, match="weights are for a list"):
        data.load(SIMULATED, horizon=6, weights=[1])
    with pytest.raises(ValueError, match="2 data sets, and cameras for 1"):
        data.load(both, horizon=6, cameras=[["front"]])
    assert data.load(both, horizon=6, cameras=[["front"], []]).cameras


def test_a_mixture_trains_and_its_policy_is_told_which_robot_it_drives(smaller, tmp_path):
    line = f"--data {SIMULATED} {smaller} --weights 1 1 --steps 2 --batch-size 4 --device cpu"
    main(f"{line} --horizon 6 --test-every 0 --out {tmp_path}".split())
    model = Pi0.from_pretrained(tmp_path)
    assert model.config.action_dim == 4 and model.stats is None
    with pytest.raises(ValueError, match="several data sets, .*smaller.*: choose one"):
        Policy(model)
    with pytest.raises(ValueError, match="'wheels' is not one of them"):
        Policy(model, data_set="wheels")
    policy = Policy(model, data_set="smaller")
    assert policy({"state": [5.0, 5.0], "prompt": "wave"}).shape == (6, 3)
    assert policy.about["fps"] == 20 and policy.about["action_names"] == ["x", "y", "z"]
    setting = Setting(str(tmp_path), execute=2, data_set="smaller")  # so is the one that counts
    assert setting.policy().action_dim == 3 and setting.identity()["data_set"] == "smaller"
    assert "data_set" not in Setting(str(tmp_path)).identity()  # results of before stay known
    with pytest.raises(ValueError, match="not trained on several data sets: not on 'x'"):
        of_data_set({"fps": 10}, "x")


def test_a_mixture_counts_only_real_dims(smaller):
    """A run on the smaller robot alone, and one in the slots of the larger: the same loss."""
    recipe = Recipe(steps=1, batch_size=4, warmup=0)
    wide = data.load(smaller, horizon=6, state_dim=4, action_dim=4)
    torch.manual_seed(0)
    model = Pi0(Pi0Config.mini(4, 4, horizon=6))
    [loss] = fit(model, wide, recipe=recipe, progress=False)
    assert 0.3 < loss < 10


def test_frames_stay_on_the_disk():
    """A data set larger than memory: a batch reads its own pictures, not the whole array."""
    found = data.load(SIMULATED, horizon=6)
    [pictures] = found.pictures
    assert isinstance(pictures, np.memmap) and pictures.mode == "r"
