"""transformers' PI0 as an independent reference, on the weights and inputs of a minipi0 model.

Used by tests and benchmarks.

It is the released model by other authors: time counts from data to noise (t = 1 - tau), its
velocity is the negative of ours.
"""

import math
import tempfile

import torch
from torch import Tensor, nn
from transformers import PI0Config as ReferenceConfig
from transformers import PI0ForConditionalGeneration

from minipi0 import ExpertConfig, Observation, Pi0, Pi0Config, VisionConfig


class Float64Sinusoid(nn.Module):
    """The reference's time embedding with its phase in float64; in float32 it alone costs 8e-5
    on the velocity.
    """

    def __init__(self, config: ReferenceConfig):
        super().__init__()
        self.config = config

    def forward(self, time: Tensor) -> Tensor:
        c = self.config
        ends = math.log10(c.min_period), math.log10(c.max_period)
        periods = torch.logspace(*ends, c.dit_config.hidden_size // 2, dtype=torch.float64)
        phase = 2 * math.pi * time.double()[:, None] / periods.to(time.device)
        return torch.cat([phase.sin(), phase.cos()], dim=1)


def reference_config(config: Pi0Config) -> ReferenceConfig:
    """The same sizes in the reference's words.

    The image placeholder id is the first one after the vocabulary.
    """

    def gemma(sizes):
        return {
            "model_type": "gemma",
            "hidden_size": sizes.width,
            "num_hidden_layers": sizes.depth,
            "intermediate_size": sizes.mlp_dim,
            "num_attention_heads": sizes.num_heads,
            "num_key_value_heads": sizes.num_kv_heads,
            "head_dim": sizes.head_dim,
            "vocab_size": config.vocab_size,
            "pad_token_id": None,
        }

    tower = {
        "model_type": "siglip_vision_model",
        "image_size": config.vision.image_size,
        "patch_size": config.vision.patch_size,
        "hidden_size": config.vision.width,
        "num_hidden_layers": config.vision.depth,
        "num_attention_heads": config.vision.num_heads,
        "intermediate_size": config.vision.mlp_dim,
        "vision_use_head": False,
    }
    vlm = {
        "model_type": "paligemma",
        "text_config": gemma(config.vlm),
        "vision_config": tower,
        "projection_dim": config.vlm.width,
        "image_token_id": config.vocab_size,
    }
    return ReferenceConfig(
        vlm_config=vlm,
        dit_config=gemma(config.action_expert),
        chunk_size=config.horizon,
        max_state_dim=config.state_dim,
        max_action_dim=config.action_dim,
    )


def reference_pi0(
    config: Pi0Config, attention: str = "sdpa", float64_time: bool = True
) -> PI0ForConditionalGeneration:
    """The reference in this size, in eval mode, with the weights it draws itself.

    attention: "sdpa" or "eager".
    """
    sizes = reference_config(config)
    sizes._attn_implementation = attention
    return _ready(PI0ForConditionalGeneration(sizes), float64_time)


def reference_from(
    model: Pi0, attention: str = "sdpa", float64_time: bool = True
) -> PI0ForConditionalGeneration:
    """The reference with this model's weights and sizes, through a folder in the released layout.

    It must be able to load it strictly, from our config.json.
    """
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, layout="lerobot")
        reference, report = PI0ForConditionalGeneration.from_pretrained(
            folder,
            attn_implementation=attention,
            output_loading_info=True,
            dtype=model.state_proj.weight.dtype,
        )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not report[kind], f"{kind}: {report[kind]}"
    return _ready(reference, float64_time)


def _ready(
    reference: PI0ForConditionalGeneration, float64_time: bool
) -> PI0ForConditionalGeneration:
    if float64_time:
        reference.embed_action_time.sinusoid_embeds = Float64Sinusoid(reference.config)
    return reference.eval()


def reference_inputs(observation: Observation, config: Pi0Config) -> dict[str, Tensor]:
    """The observation as keyword arguments of the reference's `forward` and `sample_actions`.

    It fills image placeholders with the *present* cameras' features, one after the other: a masked
    camera's placeholders must therefore be text ids with attention 0, or every later camera moves
    up by one.
    """
    per_camera = config.vision.tokens
    present = observation.image_mask.repeat_interleave(per_camera, dim=1)
    placeholders = torch.where(present, config.vocab_size, 0)
    return {
        "state": observation.state,
        "input_ids": torch.cat([placeholders, observation.tokens], dim=1),
        "attention_mask": torch.cat([present, observation.token_mask], dim=1).long(),
        "pixel_values": observation.images,
        "pixel_attention_mask": observation.image_mask,
    }


def random_pi0(config: Pi0Config, seed: int = 0) -> Pi0:
    """A model in which no parameter is trivial: norms away from one and biases away from zero,
    so that forgetting any of them shows.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Pi0(config)
        for name, parameter in model.named_parameters():
            if (
                parameter.ndim == 1
            ):  # SigLIP's layer norms multiply by w, Gemma's by 1 + w; the rest are biases
                layer_norm = name.startswith("vision.") and name.endswith("weight")
                parameter.data.normal_(float(layer_norm), 0.2)
    return model.eval()


def random_observation(
    config: Pi0Config, batch: int = 3, cameras: int = 2, length: int = 7, seed: int = 0
) -> Observation:
    """Noise images, random tokens and states, everything real; mask out what a test wants
    masked.
    """
    generator = torch.Generator().manual_seed(seed)
    size = config.vision.image_size
    return Observation(
        images=torch.rand(batch, cameras, 3, size, size, generator=generator) * 2 - 1,
        image_mask=torch.ones(batch, cameras, dtype=torch.bool),
        tokens=torch.randint(1, config.vocab_size, (batch, length), generator=generator),
        token_mask=torch.ones(batch, length, dtype=torch.bool),
        state=torch.randn(batch, config.state_dim, generator=generator),
    )


def tiny(
    heads: int = 4,
    kv_heads: int = 1,
    depth: int = 3,
    width: int = 48,
    action_width: int = 32,
    **changes,
) -> Pi0Config:
    """A configuration small enough for exhaustive tests, with different numbers wherever two could
    be confused.
    """
    shared = dict(depth=depth, num_heads=heads, num_kv_heads=kv_heads, head_dim=16)
    sizes = dict(
        vlm=ExpertConfig(width=width, mlp_dim=72, **shared),
        action_expert=ExpertConfig(width=action_width, mlp_dim=56, **shared),
        vision=VisionConfig(
            image_size=20, patch_size=10, width=24, depth=2, num_heads=3, mlp_dim=40
        ),
        vocab_size=60,
        action_dim=5,
        state_dim=3,
        horizon=6,
    )
    return Pi0Config(**(sizes | changes))
