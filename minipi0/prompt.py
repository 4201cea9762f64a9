"""The instruction as tokens: one rule for every tokenizer (openpi's PaligemmaTokenizer).

Strip the text and turn `_` and newlines into spaces. The tokens are BOS, the text, then "\\n"
tokenised by itself: PaliGemma was trained with it as the mark where the answer starts. Padding goes
to the right.
Axes: B prompts, L tokens of the longest.
"""

from functools import cache

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import (
    AutoTokenizer,
    ByT5Tokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

LENGTH = 48  # tokens; what the released pi0 pads to
PALIGEMMA = "google/paligemma-3b-pt-224"
PALIGEMMA_COMMIT = "35e4f46485b4d07967e7e9935bc3786aad50687c"
PALIGEMMA_IDS = {"\n": [108], "<loc0000>": [256000]}
LOCATIONS = 32  # words for a place along a picture's height or width; PaliGemma has 1024
WORDS = (
    "the a is there what at find touch count ones yes no 0 1 2 3 4 5 ball cube post balls cubes "
    "posts black blue green pink purple red white yellow"
).split()


@cache
def byte_tokenizer() -> PreTrainedTokenizerBase:
    """The mini model's tokenizer: a token per byte, no files.

    It has 260 ids: padding 0, end 1, unknown 2, bytes 3 … 258, BOS 259.
    """
    # split_special_tokens: "<pad>" in a prompt is five bytes
    return ByT5Tokenizer(extra_ids=0, bos_token="<s>", split_special_tokens=True)


@cache
def word_tokenizer() -> PreTrainedTokenizerBase:
    """The mini VLM's tokenizer: a token per word of WORDS and per location, "<loc00>" … "<loc31>".

    PaliGemma's has whole words for what is said often, and locations too. Any other word is the
    unknown one.
    """
    special = ["<pad>", "<eos>", "<unk>", "<bos>", "\n"]
    locations = [f"<loc{i:02}>" for i in range(LOCATIONS)]
    ids = {word: i for i, word in enumerate([*special, *WORDS, *locations])}
    splitter = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    splitter.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    named = dict(pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", bos_token="<bos>")
    return PreTrainedTokenizerFast(tokenizer_object=splitter, name_or_path="words", **named)


@cache
def paligemma_tokenizer() -> PreTrainedTokenizerBase:
    """The released model's tokenizer, from the Hugging Face Hub, of a fixed commit.

    The repository is gated: accept its licence there and log in.
    Raises OSError where it cannot be fetched, and ValueError for a tokenizer with other ids than
    those that the released weights were trained with.
    """
    found = AutoTokenizer.from_pretrained(PALIGEMMA, revision=PALIGEMMA_COMMIT)
    ids = {text: found.encode(text, add_special_tokens=False) for text in PALIGEMMA_IDS}
    if found.bos_token_id != 2 or ids != PALIGEMMA_IDS:
        raise ValueError(
            f"the tokenizer of {PALIGEMMA} begins with {found.bos_token_id} and gives {ids}, not 2 "
            f"and {PALIGEMMA_IDS}: remove it from the Hub's cache, and fetch it again"
        )
    return found


def by_name(name: str | None, vocab_size: int) -> PreTrainedTokenizerBase | None:
    """The tokenizer that a checkpoint names, or else the one that fills its vocabulary.

    Returns None for the byte tokenizer, the default everywhere. Raises ValueError for another name.
    """
    if name is None:
        name = "bytes" if vocab_size <= len(byte_tokenizer()) else "paligemma"
    if "paligemma" in name:
        return paligemma_tokenizer()
    if name == "words":
        return word_tokenizer()
    if name != "bytes":
        raise ValueError(
            f"the checkpoint's tokenizer is {name!r}; known are bytes, words and paligemma"
        )
    return None


def tokenize(
    texts: list[str], length: int | None = LENGTH, tokenizer: PreTrainedTokenizerBase | None = None
) -> tuple[Tensor, Tensor]:
    """Prompts as token ids.

    texts: the B prompts.
    length: L, or None for that of the longest prompt.
    tokenizer: by default the byte tokenizer.
    Returns tokens int64[B, L] and token_mask bool[B, L], True where a token is real. Raises
    ValueError when a prompt is longer than `length`: a cut instruction would silently be another.
    """
    if isinstance(texts, str):
        raise ValueError(f"expected a list of prompts, got the single text {texts!r}")
    tokenizer = tokenizer or byte_tokenizer()
    cleaned = [text.strip().replace("_", " ").replace("\n", " ") for text in texts]
    newline = tokenizer.encode("\n", add_special_tokens=False)
    rows = [
        [tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False), *newline]
        for text in cleaned
    ]
    longest = max(map(len, rows), default=0)
    length = longest if length is None else length
    if longest > length:
        text = max(zip(rows, cleaned, strict=True), key=lambda pair: len(pair[0]))[1]
        raise ValueError(
            f"the prompt {text!r} has {longest} tokens, more than length={length}: "
            "shorten it or raise the length"
        )
    tokens = torch.zeros(len(rows), length, dtype=torch.int64)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = True
    return tokens, mask
