"""The VLM's own task: what an answer may see, and that transformers' PaliGemma agrees."""

import pytest
import torch
from transformers import PaliGemmaForConditionalGeneration

from minipi0 import ExpertConfig, Observation, Pi0, Pi0Config, VisionConfig, prompt, vlm

HEADS = dict(depth=2, num_heads=2, num_kv_heads=1, head_dim=16)
CONFIG = Pi0Config(
    vlm=ExpertConfig(width=32, mlp_dim=48, **HEADS),
    action_expert=ExpertConfig(width=16, mlp_dim=24, **HEADS),
    vision=VisionConfig(16, patch_size=8, width=32, depth=1, num_heads=2, mlp_dim=48),
    vocab_size=len(prompt.word_tokenizer()),
    action_dim=4,
    state_dim=4,
    horizon=4,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Pi0(CONFIG).eval()


def see(texts):
    torch.manual_seed(1)
    n = len(texts)
    images = torch.rand(1, 1, 3, 16, 16).expand(n, -1, -1, -1, -1) * 2 - 1
    seen = torch.ones(n, 1, dtype=torch.bool)
    return Observation(images, seen, *vlm.questions(texts), torch.zeros(n, 4))


def test_a_word_and_a_place_are_a_token_each():
    words = prompt.word_tokenizer()
    tokens, mask = vlm.questions(["what is at <loc00> <loc31>", "find the tap"])
    assert tokens.shape == (2, 7) and mask.sum(1).tolist() == [7, 5]
    assert words.decode(tokens[0, 1:-1]) == "what is at <loc00> <loc31>"
    assert tokens[1, 3] == words.unk_token_id  # nobody told it of a tap
    told, real = vlm.answers(["red ball", "yes"])
    assert real.tolist() == [[True] * 3, [True, True, False]]
    assert told[0, -1] == told[1, 1] == words.eos_token_id


@pytest.mark.parametrize("fraction, word", [(0.0, "00"), (0.5, "16"), (1.0, "31"), (-0.2, "00")])
def test_a_place_is_one_of_32_parts(fraction, word):
    assert vlm.location(fraction) == f"<loc{word}>"


def test_an_answer_token_sees_those_before_it_and_not_those_after(model):
    observation = see(["find the red ball"])
    answer = torch.tensor([[20, 30, 40, 1]])
    before = vlm.logits(model, observation, answer)
    answer[0, 1] = 41
    after = vlm.logits(model, observation, answer)
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert (before[:, 2:] - after[:, 2:]).abs().max() > 1e-4


def test_padding_changes_nothing(model):
    texts = ["is there a red ball", "find it"]
    answers, _ = vlm.answers(["yes", "no"])
    both = vlm.logits(model, see(texts), answers)
    for i, text in enumerate(texts):
        alone = vlm.logits(model, see([text]), answers[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], alone, atol=1e-5, rtol=1e-4)


def test_reply_is_the_likeliest_answer_token_by_token(model):
    observation, words = see(["count the balls"]), prompt.word_tokenizer()
    ids, answer = [], torch.zeros(1, 1, dtype=torch.int64)
    for _ in range(4):
        ids.append(int(vlm.logits(model, observation, answer)[0, -1].argmax()))
        answer[0, -1] = ids[-1]
        answer = torch.nn.functional.pad(answer, (0, 1))
    ids = ids[: ids.index(words.eos_token_id)] if words.eos_token_id in ids else ids
    assert vlm.reply(model, observation) == [words.decode(ids)]


def test_the_loss_is_the_mean_over_real_answer_tokens(model):
    observation = see(["find the red ball", "is there a red ball"])
    answer, mask = vlm.answers(["<loc03> <loc04>", "no"])
    every = vlm.logits(model, observation, answer).log_softmax(-1)
    wanted = -every.gather(-1, answer[..., None])[..., 0][mask].mean()
    torch.testing.assert_close(vlm.loss(model, observation, answer, mask), wanted)


def test_transformers_paligemma_reads_what_is_saved_and_agrees(model, tmp_path):
    model.save_pretrained(tmp_path, layout="paligemma")
    theirs = PaliGemmaForConditionalGeneration.from_pretrained(tmp_path).eval()
    observation = see(["find the red ball"])
    answer, _ = vlm.answers(["<loc03> <loc04>"])
    ours = vlm.logits(model, observation, answer)
    placeholder = torch.full((1, CONFIG.vision.tokens), theirs.config.image_token_id)
    tokens = torch.cat([placeholder, observation.tokens, answer[:, :-1]], dim=1)
    causal = torch.zeros_like(tokens)
    causal[:, -(answer.shape[1] - 1) :] = 1
    # the placeholder's row is one beyond the vocabulary: only its features are used
    theirs.resize_token_embeddings(CONFIG.vocab_size + 1)
    with torch.no_grad():
        out = theirs(
            input_ids=tokens,
            pixel_values=observation.images[:, 0],
            attention_mask=torch.ones_like(tokens),
            token_type_ids=causal,
            labels=tokens,  # in training the prefix attends to all of itself, as ours does
        )
    found = out.logits[:, -answer.shape[1] :, : CONFIG.vocab_size]
    torch.testing.assert_close(found, ours, atol=2e-4, rtol=1e-3)


def test_pi0_begins_with_it(model, tmp_path):
    model.save_pretrained(tmp_path, layout="paligemma")
    sizes = dict(action_expert=CONFIG.action_expert, action_dim=4, state_dim=4, horizon=4)
    again = Pi0.from_paligemma(tmp_path, **sizes)
    answer, _ = vlm.answers(["yes"])
    observation = see(["find the red ball"])
    wanted = vlm.logits(model, observation, answer)
    torch.testing.assert_close(vlm.logits(again, observation, answer), wanted)
