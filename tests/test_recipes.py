"""The carried checkpoints came from the recipes in the code, and are made by one call."""

import importlib.util
import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors import safe_open

from minipi0.checkpoint import open_checkpoint
from minipi0.checkpoint.files import checksums
from minipi0.robot import recipes
from minipi0.robot.policy import Policy
from minipi0.robot.recipes import CARRIED, RECIPES, digest


def test_a_digest_is_of_the_values():
    recipe = RECIPES["wall"]
    assert digest(recipe) == digest(replace(recipe)) and len(digest(recipe)) == 64
    longer = replace(recipe, training=replace(recipe.training, steps=1))
    assert digest(longer) != digest(recipe) != digest(RECIPES["wall_regression"])


@pytest.mark.parametrize("name", RECIPES)
def test_a_carried_checkpoint_is_what_its_recipe_makes(name):
    about = open_checkpoint(CARRIED / name).about()
    assert about["recipe_sha256"] == digest(RECIPES[name])
    assert about["recipe"] == json.loads(json.dumps(asdict(RECIPES[name])))
    assert about["command"] == f"python -m minipi0.robot.recipes {name}"
    assert about["seconds"]["training"] > 0 and about["model"] == RECIPES[name].model
    with safe_open(CARRIED / name / "model.safetensors", framework="pt") as file:
        kinds = {file.get_tensor(key).dtype for key in file.keys()}
    assert kinds == {torch.bfloat16}
    policy = Policy.from_pretrained(CARRIED / name, execute=8)
    assert policy.config == RECIPES[name].config


def test_the_carried_checkpoints_are_small_and_carry_checksums():
    for name in (*RECIPES, "vlm"):
        file = CARRIED / name / "model.safetensors"
        with safe_open(file, framework="pt") as opened:
            noted = checksums(file, opened.metadata(), list(opened.keys()))
        assert noted, f"{name}: write_tensors gives a file checksums"
    assert {path.name for path in CARRIED.iterdir()} == {*RECIPES, "vlm"}  # see test_questions
    size = sum(path.stat().st_size for path in CARRIED.rglob("*") if path.is_file())
    assert size < 12e6


def test_an_unknown_recipe_is_named(tmp_path):
    with pytest.raises(ValueError, match="there is no recipe 'ceiling'; there are .*wall"):
        recipes.make("ceiling", tmp_path)


def test_one_call_demonstrates_trains_and_writes_what_a_policy_loads(tmp_path, monkeypatch):
    if importlib.util.find_spec("metaworld") is None:
        pytest.skip("Meta-World is not installed")
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    wall = RECIPES["wall_regression"]
    tiny = replace(
        wall,
        demonstrations=replace(wall.demonstrations, tasks=("Wall",), episodes=1),
        training=replace(wall.training, steps=2, batch_size=2, warmup=1),
    )
    try:
        folder = recipes.make("tiny", tmp_path / "tiny", tiny, progress=False)
    except RuntimeError as error:
        if "no OpenGL" not in str(error):
            raise
        pytest.skip(str(error))
    policy = Policy.from_pretrained(folder, execute=4)
    assert policy.about["recipe_sha256"] == digest(tiny) and policy.model.stats
    assert not list((tmp_path / "cache" / "runs").iterdir())  # the state of a finished training
    first = {k: v for k, v in policy.model.named_parameters()}
    again = recipes.make("tiny", tmp_path / "again", tiny, progress=False)
    second = Policy.from_pretrained(again).model
    assert all(torch.equal(first[k], v) for k, v in second.named_parameters())
