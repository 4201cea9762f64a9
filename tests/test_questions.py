"""Pictures with questions: what is asked, what is right, and the VLM that learned from them."""

import numpy as np
import pytest
import torch

from minipi0 import Pi0, prompt, train, vlm
from minipi0.checkpoint import open_checkpoint
from minipi0.robot import pretrain, questions, recipes

PICTURE = questions.Picture(
    ["red ball", "red cube", "blue ball"], np.array([[0.1, 0.9], [0.5, 0.5], [0.99, 0.0]])
)


@pytest.fixture(scope="module")
def taken():
    return questions.photograph(range(4), seed=5, progress=False)


def all_of(kind):
    return {questions.ask(PICTURE, kind, np.random.default_rng(i)) for i in range(300)}


def test_every_kind_of_question_has_its_answer():
    assert all_of("find") == {
        ("find the red ball", "<loc03> <loc28>"),
        ("find the red cube", "<loc16> <loc16>"),
        ("find the blue ball", "<loc31> <loc00>"),
    }
    assert ("what is at <loc16> <loc16>", "red cube") in all_of("what")
    there = dict(all_of("is"))
    assert {there[f"is there a {name}"] for name in PICTURE.names} == {"yes"}
    assert there["is there a blue cube"] == "no"
    counted = dict(all_of("count"))
    expected = {"balls": "2", "cubes": "1", "posts": "0"}
    assert {word: counted[f"count the {word}"] for word in expected} == expected
    assert counted["count the red ones"] == "2" and counted["count the white ones"] == "0"


def test_the_tokenizer_knows_every_word(taken):
    unknown = prompt.word_tokenizer().unk_token_id
    for texts in taken.texts(torch.arange(len(taken))):
        assert not (vlm.questions(texts)[0] == unknown).any()


def test_a_picture_depends_on_its_number_alone(taken):
    again = questions.photograph(range(2, 4), seed=5, progress=False)
    assert torch.equal(again.pixels, taken.pixels[2:])
    assert again.contents[0].names == taken.contents[2].names
    np.testing.assert_array_equal(again.contents[1].places, taken.contents[3].places)


def test_labels_lie_where_the_things_are(taken):
    labels = questions.Labels(taken, grid=4)
    _, found, there = labels.batch(torch.arange(4))
    assert found.shape == (4, 16, len(questions.SEEN) + 2) and there.shape == (4, 16)
    for label, picture in zip(found, taken.contents, strict=True):
        for name, (row, column) in zip(picture.names, picture.places, strict=True):
            patch = label[int(row * 4) * 4 + int(column * 4)]
            assert all(patch[questions.SEEN.index(word)] == 1 for word in name.split())


def test_what_is_saved_comes_back(taken, tmp_path):
    questions.save(taken, tmp_path / "some.npz")
    found = questions.load(tmp_path / "some.npz")
    assert torch.equal(found.pixels, taken.pixels)
    assert found.texts(torch.arange(9)) == taken.texts(torch.arange(9))


@pytest.mark.parametrize(
    "got, wanted, right",
    [
        ("<loc03> <loc07>", "<loc04> <loc06>", True),
        ("<loc03> <loc07>", "<loc05> <loc07>", False),
        ("<loc03>", "<loc03> <loc07>", False),
        ("red ball", "red ball", True),
        ("red cube", "red ball", False),
    ],
)
def test_a_neighbouring_place_is_right(got, wanted, right):
    assert questions.same(got, wanted) is right


def test_the_command_makes_a_paligemma(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    short = train.Recipe(steps=2, batch_size=4, warmup=1)
    recipe = pretrain.Pretraining(pictures=3, seeing=short, training=short)
    folder = pretrain.make(tmp_path / "made", recipe, progress=False)
    sizes = dict(action_expert=pretrain.EXPERT, action_dim=4, state_dim=4, horizon=8)
    assert Pi0.from_paligemma(folder, **sizes).config == pretrain.SIZE
    assert open_checkpoint(folder).about()["recipe_sha256"] == recipes.digest(recipe)


def carried() -> Pi0:
    sizes = dict(action_expert=pretrain.EXPERT, action_dim=4, state_dim=4, horizon=8)
    return Pi0.from_paligemma(recipes.CARRIED / "vlm", **sizes, dtype=torch.float32)


def test_the_carried_vlm_points_at_what_it_never_saw_before():
    assert open_checkpoint(recipes.CARRIED / "vlm").about()["recipe_sha256"] == recipes.digest(
        pretrain.Pretraining()
    )
    unseen = questions.photograph(range(9000, 9030), seed=7, progress=False)
    right = questions.score(carried(), unseen, torch.arange(len(unseen)))
    assert np.mean(right["find"]) > 0.9 and np.mean(right["what"]) > 0.7
