"""LeRobot's own classes run a folder that minipi0 wrote, and give minipi0's actions in the robot's
units. Skipped where LeRobot (0.6, Python 3.12) is not installed.

Its class knows two sizes of expert by name and builds the rest in code, so both sides' tables of
names are made small for the test; what is read from the files is read by its own code.
"""

import importlib.util
from dataclasses import asdict

import numpy as np
import pytest
import reference as ref
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from minipi0 import ExpertConfig, Pi0Config, VisionConfig, prompt
from minipi0.checkpoint import sizes
from minipi0.robot.policy import Policy

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("lerobot") is None, reason="LeRobot is not installed"
)
HEADS = dict(num_heads=4, num_kv_heads=1, head_dim=16)
VLM = ExpertConfig(width=32, depth=2, mlp_dim=64, **HEADS)
ACTION = ExpertConfig(width=24, depth=2, mlp_dim=48, **HEADS)
VISION = VisionConfig(
    image_size=28, patch_size=14, width=48, depth=1, num_heads=4, mlp_dim=4304
)  # LeRobot's code fixes 4304
CONFIG = Pi0Config(VLM, ACTION, VISION, 257_152, action_dim=8, state_dim=6, horizon=5)
WORDS = ["<pad>", "<bos>", "\n", "put", "it", "down"]
ABOUT = {
    "cameras": ["observation.images.front", "observation.images.wrist"],
    "state_names": ["shoulder", "elbow", "gripper"],
    "action_names": ["shoulder", "elbow", "gripper"],
    "fps": 10.0,
    "tokenizer": "paligemma",
    "prompt_length": 12,
}


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of words, in the place of PaliGemma's gated one."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="it"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split("\n", "isolated")]
    )
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<bos>", pad_token="<pad>", name_or_path="paligemma"
    )


@pytest.fixture
def small(monkeypatch):
    """Small sizes under LeRobot's names, on both sides."""
    from lerobot.policies.pi0 import modeling_pi0 as theirs

    named = {"gemma_2b": VLM, "gemma_300m": ACTION}
    monkeypatch.setattr(sizes, "VARIANTS", {name: asdict(one) for name, one in named.items()})
    monkeypatch.setattr(sizes, "SO400M", asdict(VISION))
    monkeypatch.setattr(prompt, "paligemma_tokenizer", tokenizer)
    monkeypatch.setattr(
        theirs,
        "get_gemma_config",
        lambda name: theirs.GemmaConfig(**asdict(named[name])),
    )
    build = theirs.PaliGemmaForConditionalGenerationWithPiGemma

    def shrunk(config):
        vision = config.vision_config
        vision.hidden_size, vision.num_hidden_layers = VISION.width, VISION.depth
        vision.num_attention_heads, vision.projection_dim = VISION.num_heads, VLM.width
        return build(config=config)

    monkeypatch.setattr(theirs, "PaliGemmaForConditionalGenerationWithPiGemma", shrunk)


def statistics(mode: str) -> dict[str, torch.Tensor]:
    """Of a robot with three joints; the last state never changes."""
    low, high = {"z-score": ("mean", "std"), "quantile": ("q01", "q99")}.get(mode, ("min", "max"))
    first, second = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([2.0, 1.5, 4.0])
    stats = {f"action_{low}": first, f"action_{high}": second, f"state_{low}": first.clone()}
    constant = torch.tensor([2.0, 1.5, 0.0 if mode == "z-score" else 2.0])
    return stats | {f"state_{high}": constant}


@pytest.mark.parametrize("mode", ["z-score", "quantile", "min-max"])
@pytest.mark.parametrize("relative", [None, [True, True, False]])
def test_lerobots_class_gives_our_actions(small, mode, relative, tmp_path):
    from lerobot.configs import PreTrainedConfig
    from lerobot.policies.factory import make_pre_post_processors
    from lerobot.policies.pi0.modeling_pi0 import PI0Policy

    about = ABOUT | ({"relative_actions": relative} if relative else {})
    model = ref.random_pi0(CONFIG)
    model.save_pretrained(tmp_path, layout="lerobot", stats=statistics(mode), about=about)

    generator = np.random.default_rng(0)
    pictures = {
        name: generator.integers(0, 256, (28, 28, 3), dtype=np.uint8) for name in ABOUT["cameras"]
    }
    state, text = np.array([0.7, 1.1, 2.0], dtype=np.float32), "put it down"
    noise = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0))

    ours = Policy.from_pretrained(tmp_path)
    seen = ours.observe(pictures | {"state": state, "prompt": text})
    expected = ours._to_robot(ours.model.sample_actions(seen, noise=noise), seen)

    config = PreTrainedConfig.from_pretrained(tmp_path)
    config.device, config.compile_model = "cpu", False
    theirs = PI0Policy.from_pretrained(tmp_path, config=config)
    mine = {"tokenizer_processor": {"tokenizer": tokenizer(), "tokenizer_name": None}}
    before, after = make_pre_post_processors(
        config, pretrained_path=str(tmp_path), preprocessor_overrides=mine
    )
    batch = {
        name: torch.from_numpy(picture).permute(2, 0, 1) / 255 for name, picture in pictures.items()
    }
    batch = before(batch | {"observation.state": torch.from_numpy(state), "task": text})
    chunk = theirs.predict_action_chunk(batch, noise=noise)
    assert chunk.shape == (1, 5, 3), "without the padded dims"
    np.testing.assert_allclose(after(chunk).numpy(), expected, atol=2e-4)
    if relative:
        other = Policy(ours.model, about=replace_relative(ours.about))
        apart = expected - other._to_robot(ours.model.sample_actions(seen, noise=noise), seen)
        np.testing.assert_allclose(apart[0, :, :2], np.tile(state[:2], (5, 1)), atol=1e-5)


def replace_relative(about: dict) -> dict:
    return about | {"relative_actions": []}
