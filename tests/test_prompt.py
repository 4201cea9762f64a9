"""The prompt rule: cleaned text, BOS first, a newline by itself last, padding to the right, nothing
ever cut.
"""

from types import SimpleNamespace

import pytest
import torch

from minipi0 import Pi0Config, prompt
from minipi0.prompt import byte_tokenizer, tokenize

BOS, NEWLINE = 259, 3 + ord("\n")


def as_bytes(text: str) -> list[int]:
    return [3 + b for b in text.encode()]


def test_a_prompt_is_bos_text_newline_then_padding():
    tokens, mask = tokenize(["lift cup"], length=12)
    assert tokens.tolist() == [[BOS, *as_bytes("lift cup"), NEWLINE, 0, 0]]
    assert mask.tolist() == [[True] * 10 + [False] * 2]
    assert tokens.dtype == torch.int64 and mask.dtype == torch.bool


@pytest.mark.parametrize(
    "text", ["  lift cup\n", "lift_cup", "lift\ncup", "\tlift cup ", "\n_lift cup"[2:]]
)
def test_underscores_newlines_and_surrounding_space_do_not_matter(text):
    assert tokenize([text])[0].tolist() == tokenize(["lift cup"])[0].tolist()


def test_stripping_comes_before_replacing():
    """As in openpi: a leading underscore is no space yet when the text is stripped."""
    assert tokenize(["_lift"], length=None)[0].tolist() == [[BOS, *as_bytes(" lift"), NEWLINE]]


def test_lengths():
    assert tokenize(["a", "bcd"])[0].shape == (2, prompt.LENGTH) == (2, 48)
    tokens, mask = tokenize(["a", "bcd"], length=None)
    assert tokens.shape == (2, 5) and mask.sum(1).tolist() == [3, 5]
    assert tokenize(["", "a"], length=None)[1].sum(1).tolist() == [2, 3]
    assert tokenize([], length=4)[0].shape == (0, 4)
    assert tokenize(["x" * 46])[1].all()  # exactly full


def test_a_prompt_that_does_not_fit_is_refused_not_cut():
    with pytest.raises(
        ValueError, match=r"the prompt 'pick the red one' has 18 tokens, more than length=10"
    ):
        tokenize(["pick", "pick the red one"], length=10)


def test_a_single_text_is_not_a_list_of_letters():
    with pytest.raises(ValueError, match="expected a list of prompts, got the single text 'pick'"):
        tokenize("pick")


def test_every_byte_fits_the_mini_models_vocabulary():
    text = "".join(map(chr, range(33, 127))) + " äß€漢🤖"
    tokens, _ = tokenize([text], length=None)
    assert tokens.max() < Pi0Config.mini().vocab_size == len(byte_tokenizer())
    assert tokens[0, 1:-1].tolist() == as_bytes(text.replace("_", " "))
    for markup in (
        "</s>",
        "<pad>",
        "put <s> there",
    ):  # what a user types is text, never a special token
        assert tokenize([markup], length=None)[0][0, 1:-1].tolist() == as_bytes(markup)


def test_any_tokenizer_follows_the_same_rule():
    class Words:
        bos_token_id = 2

        def encode(self, text, add_special_tokens):
            assert add_special_tokens is False
            return [108] if text == "\n" else [1000 + len(word) for word in text.split(" ")]

    tokens, mask = tokenize([" pick_up the\ncup "], length=8, tokenizer=Words())
    assert tokens.tolist() == [[2, 1004, 1002, 1003, 1003, 108, 0, 0]] and mask.sum() == 6


def test_the_released_tokenizer_is_pinned_and_checked(monkeypatch):
    asked, ids = [], {"\n": [108], "<loc0000>": [256000]}
    tokenizer = SimpleNamespace(bos_token_id=2, encode=lambda text, **_: ids[text])

    def fetched(name, revision):
        asked.append((name, len(revision)))
        return tokenizer

    monkeypatch.setattr(prompt.AutoTokenizer, "from_pretrained", fetched)
    prompt.paligemma_tokenizer.cache_clear()
    assert prompt.by_name("google/paligemma-3b-pt-224", 257_152) is tokenizer
    assert asked == [("google/paligemma-3b-pt-224", 40)], "a commit, not a branch that moves"
    ids["\n"] = [13]
    prompt.paligemma_tokenizer.cache_clear()
    with pytest.raises(ValueError, match="gives .*13.*remove it from the Hub's cache"):
        prompt.paligemma_tokenizer()
