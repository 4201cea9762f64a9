"""normalise: three formulas, there and back; statistics that cannot be are refused by name."""

import numpy as np
import pytest
import torch

from minipi0.normalise import STATISTICS, Normaliser, check_mode, normalisers

VALUES = np.random.default_rng(0).normal([1.0, -200.0, 0.01], [0.5, 30.0, 1e-3], (1000, 3))


@pytest.mark.parametrize("mode", STATISTICS)
def test_there_and_back(mode):
    normaliser = Normaliser.fit(VALUES, mode)
    x = torch.from_numpy(VALUES)
    there = normaliser.to_model(x)
    assert there.dtype == torch.float64 and there.shape == x.shape
    torch.testing.assert_close(normaliser.to_robot(there), x, rtol=1e-9, atol=1e-12)
    assert normaliser.to_model(x.float()[0]).dtype == torch.float32


def test_each_formula_gives_what_its_name_says():
    x = torch.from_numpy(VALUES)
    z = Normaliser.fit(VALUES).to_model(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3).double(), atol=1e-5, rtol=0)
    q = Normaliser.fit(VALUES, "quantile").to_model(x)
    inside = (q.abs() <= 1).double().mean(0)
    assert ((inside - 0.98).abs() < 0.002).all() and (q.abs().amax(0) > 1).all()
    ends = Normaliser.fit(VALUES, "min-max").to_model(x)
    torch.testing.assert_close(ends.amin(0), -torch.ones(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(ends.amax(0), torch.ones(3).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", STATISTICS)
def test_a_dim_that_never_changes_is_shifted_to_0_and_left_unscaled(mode):
    values = VALUES.copy()
    values[:, 1] = 1.5
    with pytest.warns(UserWarning, match="arm never changes .* left unscaled: elbow"):
        normaliser = Normaliser.fit(values, mode, "arm", ["shoulder", "elbow", "wrist"])
    there = normaliser.to_model(torch.tensor([1.0, 1.75, 0.0]))
    assert there[1] == pytest.approx(0.25)


@pytest.mark.parametrize("mode", STATISTICS)
def test_the_flat_dict_brings_back_the_same_normaliser(mode):
    state, action = Normaliser.fit(VALUES, mode), Normaliser.fit(VALUES * 2, mode)
    stats = state.stats("state") | action.stats("action")
    assert sorted(stats) == sorted(
        f"{w}_{n}" for w in ("state", "action") for n in STATISTICS[mode]
    )
    found = normalisers(stats)
    assert found["state"].mode == mode
    assert all(
        torch.equal(found["action"].stats("action")[k], v)
        for k, v in action.stats("action").items()
    )


def test_a_deviation_of_0_in_a_file_scales_by_1():
    normaliser = Normaliser("z-score", {"mean": torch.ones(2), "std": torch.tensor([0.0, 2.0])})
    assert normaliser.to_model(torch.tensor([3.0, 3.0])).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action_std": torch.tensor([1.0, float("nan")])}, "action: std is nan in dimension 1"),
        ({"action_std": torch.tensor([1.0, -2.0])}, "action: std is -2 in dimension 1"),
        ({"action_std": torch.ones(3)}, r"vectors of one length, not \(2,\) and \(3,\)"),
        ({"action_std": None}, "stats must hold action_mean, action_std or action_q01"),
        (
            {"velocity_mean": torch.ones(2)},
            r"\['velocity_mean'\], which belong to no known formula",
        ),
    ],
)
def test_statistics_that_cannot_be(change, message):
    stats = {f"{w}_{n}": torch.ones(2) for w in ("state", "action") for n in ("mean", "std")}
    stats = {name: value for name, value in (stats | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        normalisers(stats)


def test_quantiles_out_of_order_are_refused():
    stats = {"q01": torch.tensor([0.0, 1.0]), "q99": torch.tensor([1.0, 0.0])}
    with pytest.raises(ValueError, match="q99 is 0 in dimension 1: it is too small"):
        Normaliser("quantile", stats)


def test_an_unknown_formula_is_named():
    with pytest.raises(ValueError, match="normalise is one of .* not 'robust'"):
        check_mode("robust")
