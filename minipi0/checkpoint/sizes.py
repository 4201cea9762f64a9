"""The sizes of a pi0 in other people's config.json, or in the shapes of their tensors.

Sizes travel as plain dicts, in the words of `Pi0Config.to_dict`.
"""

import math
from dataclasses import asdict

from transformers import PaliGemmaConfig as PaliGemmaSizes
from transformers import PI0Config as TransformersSizes

from minipi0 import config
from minipi0.checkpoint.layouts import PARTS

# openpi's and LeRobot's names
VARIANTS = {"gemma_2b": asdict(config.GEMMA_2B), "gemma_300m": asdict(config.GEMMA_300M)}
SO400M, VOCABULARY = asdict(config.SO400M), config.VOCABULARY
HORIZON = 50
# beyond these, a file is damaged or malicious: they bound the memory that its reading takes
LARGEST = {"depth": 1000, "horizon": 10_000, "vocab_size": 10**6}
LARGEST_OTHERS = 10**5


def believable(sizes):
    """The same sizes; ValueError for one that no pi0 has, before any memory is asked for."""
    if not isinstance(sizes, dict):
        return sizes  # whoever builds the configuration says what is wrong with them
    parts = [sizes, *(part for part in sizes.values() if isinstance(part, dict))]
    for name, size in ((name, size) for part in parts for name, size in part.items()):
        most = LARGEST.get(name, LARGEST_OTHERS)
        if isinstance(size, int | float) and not size <= most:
            raise ValueError(f"its {name} is {size}, and no pi0 has more than {most}")
    return sizes


def sizes_from_config(values: dict) -> dict:
    """The sizes in a config.json of minipi0, transformers, LeRobot or openpi.

    Raises ValueError for another model's config.json, saying which.
    """
    if "minipi0" in values:
        return values["minipi0"]
    kind = values.get("type", values.get("model_type", "pi0"))
    if kind == "paligemma":
        raise ValueError(
            "it describes a PaliGemma, which has no action expert: "
            "Pi0.from_paligemma starts from one"
        )
    if values.get("pi05"):
        kind = "pi05"
    if kind != "pi0":
        raise ValueError(f"it describes a {kind}, not a pi0: that is another architecture")
    if "vlm_config" in values:
        full = TransformersSizes.from_dict(values)
        text = full.vlm_config.text_config
        return dict(
            vlm=_gemma(text),
            action_expert=_gemma(full.dit_config),
            vision=_siglip(full.vlm_config.vision_config),
            vocab_size=text.vocab_size,
            action_dim=full.max_action_dim,
            state_dim=full.max_state_dim,
            horizon=full.chunk_size,
        )
    telling = ("type", "model_type", "paligemma_variant", "chunk_size", "action_horizon")
    if not any(word in values for word in telling):
        raise ValueError("it holds none")
    vlm = values.get("paligemma_variant", "gemma_2b")
    action_expert = values.get("action_expert_variant", "gemma_300m")
    for variant in (vlm, action_expert):
        if variant not in VARIANTS:
            raise ValueError(
                f"it names the variant {variant!r}, of which only {sorted(VARIANTS)} are known: "
                "pass config=Pi0Config(...)"
            )
    action_dim = values.get("max_action_dim", values.get("action_dim", 32))
    return dict(
        vlm=VARIANTS[vlm],
        action_expert=VARIANTS[action_expert],
        vocab_size=VOCABULARY,
        vision=SO400M | dict(image_size=values.get("image_resolution", [224])[0]),
        action_dim=action_dim,
        state_dim=values.get("max_state_dim", action_dim),  # openpi has one size for both
        horizon=values.get("chunk_size", values.get("action_horizon", HORIZON)),
    )


def config_of(sizes: dict) -> dict:
    """The config.json that goes with released weights of these sizes.

    Returns LeRobot's where its variants name the sizes (transformers reads it too), else
    transformers', which can state any.
    """
    common = dict(
        chunk_size=sizes["horizon"],
        max_action_dim=sizes["action_dim"],
        max_state_dim=sizes["state_dim"],
    )
    vlm, action = _variant(sizes["vlm"]), _variant(sizes["action_expert"])
    if vlm and action and sizes["vocab_size"] == VOCABULARY and sizes["vision"] == SO400M:
        return dict(
            type="pi0",
            paligemma_variant=vlm,
            action_expert_variant=action,
            n_action_steps=sizes["horizon"],
            image_resolution=[SO400M["image_size"]] * 2,
            **common,
        )

    return dict(
        architectures=["PI0ForConditionalGeneration"],
        model_type="pi0",
        vlm_config=paligemma_of(sizes),
        dit_config=_gemma_config(sizes, "action_expert"),
        **common,
    )


def paligemma_of(sizes: dict) -> dict:
    """transformers' config.json of the PaliGemma inside; the inverse of `paligemma_sizes`."""
    vision = {theirs: sizes["vision"][ours] for theirs, ours in _SIGLIP.items()}
    return dict(
        architectures=["PaliGemmaForConditionalGeneration"],
        model_type="paligemma",
        text_config=_gemma_config(sizes, "vlm"),
        projection_dim=sizes["vlm"]["width"],
        image_token_index=sizes["vocab_size"],
        vision_config=dict(model_type="siglip_vision_model", vision_use_head=False, **vision),
    )


def paligemma_sizes(values: dict) -> dict:
    """The sizes "vlm", "vision" and "vocab_size" in a PaliGemma's config.json.

    The Hub's files pad the 257,152 rows of the vocabulary to 257,216, for the image placeholder and
    for alignment. No text uses the padding, so it is not counted.
    Raises ValueError for another model's config.json.
    """
    if values.get("model_type") != "paligemma":
        raise ValueError(f"it describes a {values.get('model_type')!r}, not a PaliGemma")
    full = PaliGemmaSizes.from_dict(values)
    if full.text_config.model_type != "gemma":
        raise ValueError(
            f"its language model is a {full.text_config.model_type}; "
            "pi0 stands on the first PaliGemma, whose is a gemma"
        )
    rows, placeholder = full.text_config.vocab_size, full.image_token_index
    vocabulary = placeholder if 0 < rows - placeholder <= 64 else rows
    return dict(
        vlm=_gemma(full.text_config), vision=_siglip(full.vision_config), vocab_size=vocabulary
    )


def sizes_from_shapes(shapes: dict[str, tuple[int, ...]]) -> tuple[dict, str]:
    """The sizes that the tensors' shapes tell, with the released head sizes.

    shapes: canonical name -> shape. A shape gives heads times head_dim, never the two apart.
    Returns the sizes, and in words what the shapes do not tell and was assumed.
    Raises ValueError where the released head sizes do not fit.
    """

    def gemma(prefix: str) -> dict:
        q, width = shapes[f"{prefix}layers.0.self_attn.q_proj.weight"]
        kv, head_dim = shapes[f"{prefix}layers.0.self_attn.k_proj.weight"][0], 256
        if q % head_dim or kv % head_dim:
            raise ValueError(
                f"{q} rows of queries and {kv} of keys are no multiples "
                f"of the released head size {head_dim}"
            )
        return dict(
            width=width,
            depth=_count(shapes, prefix + "layers."),
            mlp_dim=shapes[f"{prefix}layers.0.mlp.gate_proj.weight"][0],
            num_heads=q // head_dim,
            num_kv_heads=kv // head_dim,
            head_dim=head_dim,
        )

    tower = PARTS["vision."]
    try:
        width, _, patch, _ = shapes[tower + "embeddings.patch_embedding.weight"]
        grid = math.isqrt(shapes[tower + "embeddings.position_embedding.weight"][0])
        if width % 72:
            raise ValueError(
                f"the vision tower's width {width} is no multiple of the released head size 72"
            )
        vision = dict(
            image_size=grid * patch,
            patch_size=patch,
            width=width,
            depth=_count(shapes, tower + "encoder.layers."),
            num_heads=width // 72,
            mlp_dim=shapes[tower + "encoder.layers.0.mlp.fc1.weight"][0],
        )
        sizes = dict(
            vlm=gemma(PARTS["experts.vlm."]),
            action_expert=gemma(PARTS["experts.action."]),
            vision=vision,
            vocab_size=shapes[PARTS["embedding."] + "weight"][0],
            action_dim=shapes["action_in_proj.weight"][1],
            state_dim=shapes["state_proj.weight"][1],
            horizon=HORIZON,
        )
    except KeyError as error:
        raise ValueError(f"there is no tensor {error}") from None
    assumed = (
        f"a head size of 256 ({sizes['vlm']['num_heads']} heads), "
        f"one of 72 in the vision tower ({vision['num_heads']} heads), "
        f"{vision['image_size']}-pixel images and a horizon of {HORIZON}"
    )
    return sizes, assumed


# transformers' word -> minipi0's
_GEMMA = {
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "intermediate_size": "mlp_dim",
    "num_attention_heads": "num_heads",
    "num_key_value_heads": "num_kv_heads",
    "head_dim": "head_dim",
}
_SIGLIP = {
    "image_size": "image_size",
    "patch_size": "patch_size",
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "num_heads",
    "intermediate_size": "mlp_dim",
}


def _gemma_config(sizes: dict, part: str) -> dict:
    named = {theirs: sizes[part][ours] for theirs, ours in _GEMMA.items()}
    return named | dict(model_type="gemma", vocab_size=sizes["vocab_size"], pad_token_id=None)


def _variant(expert: dict) -> str | None:
    return next((name for name, sizes in VARIANTS.items() if sizes == expert), None)


def _gemma(config) -> dict:
    if (config.rms_norm_eps, config.rope_parameters["rope_theta"]) != (1e-6, 1e4):
        raise ValueError("its rms_norm_eps and rope_theta are not pi0's 1e-6 and 10000")
    return {ours: getattr(config, theirs) for theirs, ours in _GEMMA.items()}


def _siglip(config) -> dict:
    return {ours: getattr(config, theirs) for theirs, ours in _SIGLIP.items()}


def _count(shapes: dict, prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in shapes if key.startswith(prefix)})
