"""The VLM's own task: answer a question about a picture, in words and in locations.

    [ picture | question "\\n" ]  answer          as PaliGemma does it (arXiv 2407.07726, Sec. 3)
      each attends to all         causal

It is the prefix half of a `Pi0` and nothing else: the action expert is not touched. The words are
those of `prompt.word_tokenizer`; a place is two of them, "<loc12> <loc07>": row and column, in 32
parts each.

Axes: B batch, P prefix tokens, A answer tokens, V vocabulary, W the VLM's width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minipi0 import prompt
from minipi0.observation import Observation
from minipi0.pi0 import Pi0, block_mask


def location(fraction: float) -> str:
    """Where along an axis, 0 to 1, as a word: "<loc07>"."""
    part = int(fraction * prompt.LOCATIONS)
    return f"<loc{min(max(part, 0), prompt.LOCATIONS - 1):02}>"


def questions(texts: list[str]) -> tuple[Tensor, Tensor]:
    """Questions as the policy reads its instruction: tokens int[B, L], mask bool[B, L]."""
    return prompt.tokenize(texts, None, prompt.word_tokenizer())


def answers(texts: list[str]) -> tuple[Tensor, Tensor]:
    """Answers, each with its end token. Tokens int[B, A], mask bool[B, A]."""
    words = prompt.word_tokenizer()
    rows = [torch.tensor([*words.encode(text), words.eos_token_id]) for text in texts]
    tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=words.pad_token_id)
    lengths = torch.tensor([len(row) for row in rows])
    return tokens, torch.arange(tokens.shape[1]) < lengths[:, None]


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
    last = p - 1 - valid[:, :p].flip(1).int().argmax(1)  # the question's last token tells the first
    first = out[torch.arange(len(out), device=out.device), last][:, None]
    return torch.cat([first, out[:, p:]], dim=1) @ model.embedding.weight.T


def loss(model: Pi0, observation: Observation, answer: Tensor, mask: Tensor) -> Tensor:
    """Cross entropy over the answers' real tokens. answer: int[B, A]; mask: bool[B, A]."""
    found = logits(model, observation, answer)
    return F.cross_entropy(found[mask].float(), answer[mask])


@torch.no_grad()
def reply(model: Pi0, observation: Observation, length: int = 4) -> list[str]:
    """The likeliest answer, token by token. length: tokens at most."""
    words = prompt.word_tokenizer()
    answer = torch.zeros(len(observation.tokens), 0, dtype=torch.int64)
    answer = answer.to(observation.tokens.device)
    for _ in range(length):
        following = logits(model, observation, F.pad(answer, (0, 1)))[:, -1].argmax(-1)
        answer = torch.cat([answer, following[:, None]], dim=1)
    ended = (answer == words.eos_token_id).cumsum(1) > 0
    return [words.decode(row[~end]) for row, end in zip(answer, ended, strict=True)]


class Answering(nn.Module):
    """The VLM's task in the form that `train.fit` takes: its "actions" are answers."""

    def __init__(self, model: Pi0):
        super().__init__()
        self.model = model

    def loss(self, observation, answer, action_mask=None, generator=None) -> Tensor:
        """See `loss`. generator: not used, nothing is drawn."""
        return loss(self.model, observation, answer, action_mask)
