"""The VLM's own task: answer a question about a picture, in words and in locations.

    [ picture | question "\\n" ]  answer          as PaliGemma does it (arXiv 2407.07726, Sec. 3)
      each attends to all         causal

It is the prefix half of a `Pi0` and nothing else: the action expert is not touched. The vocabulary
has LOCATIONS tokens more than the byte tokenizer, "<loc00>" … "<loc31>": a picture's height, or its
width, in 32 equal parts. PaliGemma has 1024 of them.

Axes: B batch, P prefix tokens, A answer tokens, V vocabulary, W the VLM's width.
"""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minipi0 import prompt
from minipi0.observation import Observation
from minipi0.pi0 import Pi0, block_mask

LOCATIONS = 32
FIRST_LOCATION = 260  # after the byte tokenizer's ids
VOCABULARY = FIRST_LOCATION + LOCATIONS
END, NEWLINE = 1, 13  # the byte tokenizer's: end of an answer, and "\n"


def location(fraction: float) -> str:
    """Where along an axis, 0 to 1, as a word: "<loc07>"."""
    return f"<loc{min(max(int(fraction * LOCATIONS), 0), LOCATIONS - 1):02}>"


def to_ids(text: str) -> list[int]:
    """Bytes and locations as token ids, without beginning and end."""
    ids: list[int] = []
    for piece in re.split(r"(<loc\d\d>)", text):
        if piece.startswith("<loc"):
            ids.append(FIRST_LOCATION + int(piece[4:6]))
        else:
            ids += prompt.byte_tokenizer().encode(piece, add_special_tokens=False)
    return ids


def to_text(ids: list[int]) -> str:
    """The inverse of `to_ids`, up to the end token."""
    ids = ids[: ids.index(END)] if END in ids else ids
    words = [
        f"<loc{i - FIRST_LOCATION:02}>"
        if i >= FIRST_LOCATION
        else prompt.byte_tokenizer().decode([i])
        for i in ids
    ]
    return "".join(words)


def questions(texts: list[str]) -> tuple[Tensor, Tensor]:
    """Questions as a model reads them: beginning, text, "\\n". Tokens int[B, L], mask bool[B, L]."""
    start = prompt.byte_tokenizer().bos_token_id
    return _padded([[start, *to_ids(text), NEWLINE] for text in texts])


def answers(texts: list[str]) -> tuple[Tensor, Tensor]:
    """Answers, each with its end token. Tokens int[B, A], mask bool[B, A]."""
    return _padded([[*to_ids(text), END] for text in texts])


def logits(model: Pi0, observation: Observation, answer: Tensor) -> Tensor:
    """What the VLM expects at every place of the answer, having read what comes before.

    observation: its picture and tokens count, its state does not. answer: int[B, A].
    Returns [B, A, V]. The head is the embedding, as Gemma's is.
    """
    prefix, valid = model.embed_prefix(observation)
    p, a = prefix.shape[1], answer.shape[1]
    read = model.embedding(answer[:, :-1]) * model.config.vlm.width**0.5
    valid = F.pad(valid, (0, a - 1), value=True)
    starts = torch.zeros(p + a - 1, dtype=torch.bool, device=valid.device)
    starts[p:] = True  # every answer token is a block: it attends to those before it
    mask, positions = block_mask(starts, valid), valid.cumsum(1) - 1
    tokens = torch.cat([prefix, read], dim=1)
    out, _ = model.experts.prefix(tokens, mask, positions, output=True)
    last = observation.image_mask.shape[1] * model.config.vision.tokens
    last = last + observation.token_mask.sum(1) - 1  # the question's last token tells the first
    first = out[torch.arange(len(out), device=out.device), last][:, None]
    return torch.cat([first, out[:, p:]], dim=1) @ model.embedding.weight.T


def loss(model: Pi0, observation: Observation, answer: Tensor, mask: Tensor) -> Tensor:
    """Cross entropy over the answers' real tokens. answer: int[B, A]; mask: bool[B, A]."""
    found = logits(model, observation, answer)
    return F.cross_entropy(found[mask].float(), answer[mask])


@torch.no_grad()
def reply(model: Pi0, observation: Observation, length: int = 12) -> list[str]:
    """The likeliest answer, token by token. length: tokens at most."""
    answer = torch.zeros(len(observation.tokens), 1, dtype=torch.int64)
    answer = answer.to(observation.tokens.device)
    for _ in range(length):
        answer[:, -1] = logits(model, observation, answer)[:, -1].argmax(-1)
        if (answer == END).any(dim=1).all():
            break
        answer = F.pad(answer, (0, 1))
    return [to_text(row) for row in answer[:, :length].tolist()]


class Answering(nn.Module):
    """The VLM's task in the form that `train.fit` takes: its "actions" are answers."""

    def __init__(self, model: Pi0):
        super().__init__()
        self.model = model

    def loss(self, observation, answer, action_mask=None, generator=None) -> Tensor:
        """See `loss`. generator: not used, nothing is drawn."""
        return loss(self.model, observation, answer, action_mask)


def _padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows), default=0)
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[i < len(row) for i in range(longest)] for row in rows])
    return tokens, mask
