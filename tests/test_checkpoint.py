"""Weights in files: both layouts bit for bit, the released names, and every way in which a file can
be wrong.
"""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import reference as ref
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from minipi0 import Pi0, Pi0Config, checkpoint
from minipi0.checkpoint import files, layouts, store

CONFIG = ref.tiny(kv_heads=2, depth=2)
EMBEDDING = "paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight"
KEYS = Path(__file__).resolve().parents[2] / "shared" / "parity" / "released_keys.txt"


@pytest.fixture(scope="module")
def model() -> Pi0:
    return ref.random_pi0(CONFIG)


@pytest.fixture
def released(model, tmp_path) -> tuple[Path, dict]:
    """A folder with the model in the released layout, and the tensors in it."""
    model.save_pretrained(tmp_path / "released", layout="lerobot")
    return tmp_path / "released", load_file(tmp_path / "released" / "model.safetensors")


def rewrite(folder: Path, tensors: dict, metadata: dict | None = None) -> Path:
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
        metadata=metadata,
    )
    return folder


def assert_same_weights(a: Pi0, b: Pi0):
    ours, theirs = dict(a.named_parameters()), dict(b.named_parameters())
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype and torch.equal(ours[name], theirs[name]), (
            name
        )


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("layout", ["minipi0", "lerobot"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip_bit_for_bit(layout, dtype, tmp_path):
    saved = ref.random_pi0(CONFIG, seed=3).to(dtype)
    saved.save_pretrained(tmp_path / "there", layout)
    loaded = Pi0.from_pretrained(tmp_path / "there")
    assert loaded.config == CONFIG and not loaded.training
    assert_same_weights(saved, loaded)
    loaded.save_pretrained(tmp_path / "again", layout)
    assert (tmp_path / "there" / "config.json").read_bytes() == (
        tmp_path / "again" / "config.json"
    ).read_bytes()
    there, again = (
        load_file(tmp_path / folder / "model.safetensors") for folder in ("there", "again")
    )
    assert there.keys() == again.keys()
    assert all(
        torch.equal(there[name], again[name]) and there[name].dtype == dtype for name in there
    )
    observation, noise = (
        ref.random_observation(CONFIG),
        torch.randn(3, CONFIG.horizon, CONFIG.action_dim),
    )
    assert torch.equal(
        saved.sample_actions(observation, noise=noise),
        loaded.sample_actions(observation, noise=noise),
    )


def test_everything_but_safetensors_and_json_is_absent(released):
    folder, tensors = released
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert all(name.startswith("model.") for name in tensors)


def test_a_loaded_model_trains(released):
    model = Pi0.from_pretrained(released[0])
    observation, actions = (
        ref.random_observation(CONFIG),
        torch.randn(3, CONFIG.horizon, CONFIG.action_dim),
    )
    model.loss(observation, actions).backward()
    assert model.projector.weight.grad.any() and not any(
        p.is_meta for p in (*model.parameters(), *model.buffers())
    )


def test_the_velocitys_sign_turns_and_nothing_else(model, released):
    _, tensors = released
    assert torch.equal(tensors["model.action_out_proj.weight"], -model.action_out_proj.weight)
    assert torch.equal(tensors["model.action_out_proj.bias"], -model.action_out_proj.bias)
    assert torch.equal(tensors["model.state_proj.weight"], model.state_proj.weight)
    layer = model.experts.action.layers[1]
    prefix = "model.paligemma_with_expert.gemma_expert.model.layers.1."
    q, k, v = (tensors[f"{prefix}self_attn.{x}_proj.weight"] for x in "qkv")
    assert (len(q), len(k), len(v)) == (64, 32, 32) and torch.equal(
        torch.cat([q, k, v]), layer.qkv.weight
    )
    gate, up = (tensors[f"{prefix}mlp.{x}_proj.weight"] for x in ("gate", "up"))
    assert torch.equal(gate, layer.gate.weight) and torch.equal(up, layer.up.weight)
    assert not tensors["model." + layouts.ACTION_HEAD].any()
    assert torch.equal(tensors["model." + layouts.VLM_HEAD], model.embedding.weight)


def test_spellings_of_the_released_layout(model, released):
    folder, tensors = released
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    no_tower_level = {
        name.replace("vision_tower.vision_model.", "vision_tower."): tensor
        for name, tensor in tensors.items()
    }
    no_heads = {name: tensor for name, tensor in tensors.items() if "lm_head" not in name}
    tied = {name: tensor for name, tensor in bare.items() if name != EMBEDDING}
    assert len(tied) == len(bare) - 1 and len(no_heads) == len(bare) - 2
    for variant in (bare, no_tower_level, no_heads, tied):
        assert_same_weights(Pi0.from_pretrained(rewrite(folder, variant)), model)
    assert_same_weights(
        Pi0.from_pretrained(folder / "model.safetensors"), model
    )  # a file instead of its folder


def test_shards_with_an_index(model, released):
    folder, tensors = released
    names = sorted(tensors)
    shards = {
        "model-00001-of-00002.safetensors": names[::2],
        "model-00002-of-00002.safetensors": names[1::2],
    }
    for shard, part in shards.items():
        save_file({name: tensors[name] for name in part}, folder / shard)
    index = {"weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_same_weights(Pi0.from_pretrained(folder), model)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match="model-00002-of-00002.safetensors"):
        Pi0.from_pretrained(folder)
    for broken in ("{", "[]", "{}", '{"weight_map": [1]}'):
        (folder / "model.safetensors.index.json").write_text(broken)
        with pytest.raises(ValueError, match="is no index of shards"):
            Pi0.from_pretrained(folder)


# ---------------------------------------------------------------- the full model's names


def full_size_keys() -> dict[str, tuple[int, ...]]:
    config = Pi0Config.full()
    with torch.device("meta"):
        state = {layouts.own_name(name): p.detach() for name, p in Pi0(config).named_parameters()}
    return {
        f"model.{name}": tuple(t.shape)
        for name, t in layouts.to_released(state, config.to_dict()).items()
    }


def test_the_full_model_has_the_released_names_and_shapes():
    ours = full_size_keys()
    paligemma, expert = (
        "model.paligemma_with_expert.paligemma.",
        "model.paligemma_with_expert.gemma_expert.",
    )
    parts = Counter(re.sub(r"\d+", "*", name) for name in ours)
    gemma_layer = [f"self_attn.{x}_proj" for x in "qkvo"] + [
        f"mlp.{x}_proj" for x in ("gate", "up", "down")
    ]
    for layer in (f"{paligemma}model.language_model.layers.*.", f"{expert}model.layers.*."):
        assert all(
            parts.pop(f"{layer}{x}.weight") == 18
            for x in (*gemma_layer, "input_layernorm", "post_attention_layernorm")
        )
    siglip_layer = ["self_attn." + x for x in ("q_proj", "k_proj", "v_proj", "out_proj")] + [
        "mlp.fc*",
        "layer_norm*",
    ]
    for x in siglip_layer:
        for kind in ("weight", "bias"):
            count = parts.pop(
                f"{paligemma}model.vision_tower.vision_model.encoder.layers.*.{x}.{kind}"
            )
            assert count == 27 * (2 if x.endswith("*") else 1)
    tower = paligemma + "model.vision_tower.vision_model."
    projections = (
        "action_in_proj",
        "action_out_proj",
        "action_time_mlp_in",
        "action_time_mlp_out",
        "state_proj",
    )
    assert parts.keys() == {
        f"{tower}embeddings.patch_embedding.weight",
        f"{tower}embeddings.patch_embedding.bias",
        f"{tower}embeddings.position_embedding.weight",
        f"{tower}post_layernorm.weight",
        f"{tower}post_layernorm.bias",
        f"{paligemma}model.multi_modal_projector.linear.weight",
        f"{paligemma}model.multi_modal_projector.linear.bias",
        f"{paligemma}model.language_model.embed_tokens.weight",
        f"{paligemma}model.language_model.norm.weight",
        f"{paligemma}lm_head.weight",
        f"{expert}model.norm.weight",
        f"{expert}lm_head.weight",
        *(f"model.{name}.{kind}" for name in projections for kind in ("weight", "bias")),
    }
    # names and shapes all at once: the SHA-256 of the released checkpoint's sorted "name<tab>shape"
    # lines
    lines = "\n".join(sorted(f"{name}\t{list(shape)}" for name, shape in ours.items()))
    assert len(ours) == 778
    assert (
        hashlib.sha256(lines.encode()).hexdigest()
        == "c3f0476fa7c6704a75dda1fc17c80d8e2a1f379ee0a13be2b1f46589dce3e07a"
    )


@pytest.mark.skipif(
    not KEYS.exists(),
    reason="no list of the released keys beside the checkout; the digest above covers it",
)
def test_the_full_model_has_the_listed_keys():
    lines = [
        line.split("\t")
        for line in KEYS.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert full_size_keys() == {name: tuple(json.loads(shape)) for name, shape in lines}


# ---------------------------------------------------------------- strict


def test_missing_unexpected_and_misshaped_tensors_are_all_named(released):
    folder, tensors = released
    missing = "model.paligemma_with_expert.gemma_expert.model.layers.1.self_attn.k_proj.weight"
    wrong = "model.paligemma_with_expert.paligemma.model.language_model.layers.0.mlp.up_proj.weight"
    del tensors[missing]
    tensors["model.surprise.weight"] = torch.zeros(2)
    tensors[wrong] = torch.zeros(71, 48)
    tensors["model.state_proj.bias"] = torch.tensor(1.0)  # no axis at all
    with pytest.raises(ValueError) as error:
        Pi0.from_pretrained(rewrite(folder, tensors))
    text = str(error.value)
    assert f"1 missing:\n  {missing.removeprefix('model.')}" in text
    assert "1 unexpected:\n  surprise.weight" in text
    assert (
        "2 of another shape:" in text
        and f"{wrong.removeprefix('model.')}: (71, 48) in the file, (72, 48) in the model" in text
    )
    assert "state_proj.bias: () in the file, (32,) in the model" in text


def test_parts_of_a_fused_matrix_are_checked_one_by_one(released):
    """Gate and up with other sizes but the same sum would stack to the right shape."""
    folder, tensors = released
    layer = "model.paligemma_with_expert.gemma_expert.model.layers.0.mlp."
    tensors[layer + "gate_proj.weight"], tensors[layer + "up_proj.weight"] = (
        torch.zeros(50, 32),
        torch.zeros(62, 32),
    )
    with pytest.raises(
        ValueError,
        match=r"2 of another shape:(.|\n)*gate_proj.weight: \(50, 32\)(.|\n)*up_proj.weight: "
        r"\(62, 32\)",
    ):
        Pi0.from_pretrained(rewrite(folder, tensors))


def test_at_most_ten_of_each_kind_are_listed(released):
    folder, tensors = released
    kept = {name: tensor for name, tensor in tensors.items() if "vision_tower" not in name}
    kept |= {f"extra.{i}": torch.zeros(1) for i in range(23)}
    gone = len(tensors) - len(kept) + 23
    with pytest.raises(ValueError) as error:
        Pi0.from_pretrained(rewrite(folder, kept))
    text = str(error.value)
    assert f"{gone} missing:" in text and f"… and {gone - 10} more" in text
    assert "23 unexpected:" in text and "… and 13 more" in text
    assert text.count("vision_tower") == 10 and len(re.findall(r"extra\.\d+", text)) == 10


def test_another_configuration_does_not_fit(released):
    with pytest.raises(ValueError, match="of another shape"):
        Pi0.from_pretrained(released[0], config=ref.tiny(kv_heads=1, depth=2))
    with pytest.raises(ValueError, match="missing"):
        Pi0.from_pretrained(released[0], config=ref.tiny(kv_heads=2, depth=3))
    with pytest.raises(ValueError, match="unexpected"):
        Pi0.from_pretrained(released[0], config=ref.tiny(kv_heads=2, depth=1))


def test_neither_embedding_nor_head(released):
    folder, tensors = released
    for name in ("model." + EMBEDDING, "model." + layouts.VLM_HEAD):
        del tensors[name]
    with pytest.raises(ValueError, match=rf"1 missing:\n  {re.escape(EMBEDDING)}"):
        Pi0.from_pretrained(rewrite(folder, tensors))


def test_two_spellings_of_one_tensor(released):
    folder, tensors = released
    tensors["state_proj.bias"] = tensors["model.state_proj.bias"].clone()
    with pytest.raises(ValueError, match="the same tensor by name"):
        Pi0.from_pretrained(rewrite(folder, tensors))


def test_minipi0s_own_layout_is_strict_too(model, tmp_path):
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors.pop("state_proj.weight")
    with pytest.raises(
        ValueError, match=r"1 missing:\n  state_proj.weight\n1 unexpected:\n  lm_head.weight"
    ):
        Pi0.from_pretrained(rewrite(tmp_path, tensors, {"minipi0": "1"}))


# ---------------------------------------------------------------- dtypes


def test_dtype_is_the_files_unless_one_is_chosen(released):
    folder, tensors = released
    assert Pi0.from_pretrained(folder).state_proj.weight.dtype == torch.float32
    rough = Pi0.from_pretrained(folder, dtype=torch.bfloat16)
    assert all(p.dtype == torch.bfloat16 for p in rough.parameters())
    assert torch.equal(rough.state_proj.weight, tensors["model.state_proj.weight"].bfloat16())
    for kinds, expected in [
        ({torch.bfloat16, torch.float32}, torch.float32),
        ({torch.float16}, torch.float16),
        ({torch.float16, torch.bfloat16}, torch.float32),
        ({torch.float64, torch.bfloat16}, torch.float64),
    ]:
        order = sorted(kinds, key=str)
        mixed = {
            name: tensor.to(order[i % len(order)])
            for i, (name, tensor) in enumerate(sorted(tensors.items()))
        }
        loaded = Pi0.from_pretrained(rewrite(folder, mixed))
        assert {p.dtype for p in loaded.parameters()} == {expected}


def test_dtypes_that_cannot_be(released):
    folder, tensors = released
    for dtype in (torch.int8, "bfloat16", torch.float8_e4m3fn):
        with pytest.raises(ValueError, match="dtype must be a floating-point torch.dtype"):
            Pi0.from_pretrained(folder, dtype=dtype)
    tensors["model.state_proj.bias"] = tensors["model.state_proj.bias"].to(torch.int8)
    with pytest.raises(ValueError, match=r"weights of type \['I8'\] cannot be read"):
        Pi0.from_pretrained(rewrite(folder, tensors))


# ---------------------------------------------------------------- broken files


@pytest.mark.parametrize("part", [0.0, 4e-5, 1e-3, 0.5, 0.999])
def test_a_cut_file_is_refused(released, part):
    file = released[0] / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ValueError, match="model.safetensors is not a complete safetensors file"):
        Pi0.from_pretrained(released[0])


def test_a_half_written_file_is_refused(released):
    """The right length, but its header never made it to the disk."""
    file = released[0] / "model.safetensors"
    whole = bytearray(file.read_bytes())
    whole[:4096] = bytes(4096)
    file.write_bytes(whole)
    with pytest.raises(ValueError, match="is not a complete safetensors file"):
        Pi0.from_pretrained(released[0])


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize("layout", ["minipi0", "lerobot"])
def test_a_file_whose_bytes_never_came_is_refused(model, layout, checksums, tmp_path):
    """The right length and a right header, zeros behind: a download cut off after its space was
    reserved, a crash before the disk wrote.
    """
    model.save_pretrained(tmp_path, layout)
    file = tmp_path / "model.safetensors"
    if not checksums:  # as other software writes it
        rewrite(tmp_path, load_file(file))
    whole = file.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for kept in (header, header + (len(whole) - header) // 2, len(whole) - 20_000):
        file.write_bytes(whole[:kept] + bytes(len(whole) - kept))
        said = "changed since it was saved" if checksums else "holds nothing but zeros"
        with pytest.raises(ValueError, match=rf"model.safetensors:? .*{said}.* only half written"):
            Pi0.from_pretrained(tmp_path)
    file.write_bytes(whole)
    assert_same_weights(Pi0.from_pretrained(tmp_path), model)


def test_a_file_is_known_by_its_bytes_without_checksums(model, tmp_path):
    """Results tell by them which weights they are of."""
    model.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    plain = checkpoint.without_checksums(file)
    assert len(plain) < len(file.read_bytes())
    file.write_bytes(plain)
    assert checkpoint.without_checksums(file) == plain and b"checksums" not in plain
    assert_same_weights(Pi0.from_pretrained(tmp_path), model)
    checkpoint.write_tensors(file.with_name("new"), *checkpoint.read_tensors(file))
    assert checkpoint.without_checksums(file.with_name("new")) == plain
    file.write_bytes(plain[:50])
    with pytest.raises(ValueError, match="is not a complete safetensors file"):
        checkpoint.without_checksums(file)


@pytest.mark.parametrize("layout", ["minipi0", "lerobot"])
def test_flipped_bits_are_refused_by_the_tensors_name(model, layout, tmp_path):
    """Every number stays finite: without the checksum, another model would load in silence."""
    model.save_pretrained(tmp_path, layout)
    file = tmp_path / "model.safetensors"
    whole, tensors = file.read_bytes(), load_file(file)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = json.loads(whole[8:header])
    for key in ("state_proj.weight", "state_proj.bias"):
        name = key if layout == "minipi0" else f"model.{key}"
        flipped = bytearray(whole)
        flipped[header + places[name]["data_offsets"][0]] ^= 1
        file.write_bytes(flipped)
        assert load_file(file)[name].isfinite().all()
        with pytest.raises(ValueError, match=rf"model.safetensors: {name} changed since it was sa"):
            Pi0.from_pretrained(tmp_path)
    file.write_bytes(whole.replace(b"zeros", b"heroz"))
    with pytest.raises(ValueError, match=r"its metadata \(sizes, statistics, …\) .* changed since"):
        Pi0.from_pretrained(tmp_path)
    rewrite(tmp_path, tensors)  # a file of other software carries none: that is no error
    assert_same_weights(Pi0.from_pretrained(tmp_path), model)
    checkpoint.write_tensors(file.with_name("new"), *checkpoint.read_tensors(file))
    again = file.with_name("new").replace(file)  # now it has some
    assert b'"checksums"' in again.read_bytes()
    checkpoint.write_tensors(file.with_name("new"), *checkpoint.read_tensors(file))
    assert file.with_name("new").read_bytes() == file.read_bytes()
    assert_same_weights(Pi0.from_pretrained(tmp_path), model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_weights_that_are_no_numbers_are_named(released, dtype):
    folder, tensors = released
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    part = "paligemma_with_expert.paligemma.model.language_model.layers.1.self_attn.k_proj.weight"
    for bad in (float("nan"), float("inf"), -float("inf")):
        broken = tensors["model." + part].clone()
        broken[-1, -1] = bad
        with pytest.raises(
            ValueError, match=rf"{part} in .* holds NaN or infinite numbers, read as {dtype}"
        ):
            Pi0.from_pretrained(rewrite(folder, tensors | {"model." + part: broken}))
    if dtype == torch.float32:
        with pytest.raises(
            ValueError, match="infinite numbers, read as torch.float16"
        ):  # finite in the file, not where it goes
            Pi0.from_pretrained(
                rewrite(folder, tensors | {"model." + part: broken.clamp(min=-1e6)}),
                dtype=torch.float16,
            )


@pytest.mark.parametrize("change", ["same sizes", "another size", "removed"])
def test_a_file_replaced_while_it_is_read_is_refused(model, change, tmp_path, monkeypatch):
    """Tensors are read one after the other: another model with the same sizes, saved in between,
    would be mixed into the first.
    """
    model.save_pretrained(tmp_path)
    other = ref.random_pi0(CONFIG if change == "same sizes" else ref.tiny(), seed=1)
    read, count = checkpoint.Checkpoint.read, 0

    def interrupted(self, name):
        nonlocal count
        count += 1
        if count == 7:
            other.save_pretrained(tmp_path)
            if change == "removed":
                (tmp_path / "model.safetensors").unlink()
        return read(self, name)

    monkeypatch.setattr(checkpoint.Checkpoint, "read", interrupted)
    with pytest.raises(ValueError, match="model.safetensors was replaced while it was being read"):
        Pi0.from_pretrained(tmp_path)
    if change != "removed":
        assert_same_weights(
            Pi0.from_pretrained(tmp_path), other
        )  # and then it is all of the new one


def test_config_json_missing_or_wrong(model, released):
    file = released[0] / "config.json"
    for text, message in [
        ("", "not readable as JSON"),
        ('{"minipi0": ', "not readable as JSON"),
        ("[1]", "does not hold a pi0's sizes: it holds a list"),
        ('{"width": 8}', r"does not hold a pi0's sizes: it holds none; pass config=Pi0Config"),
        ('{"minipi0": 3}', "belongs to other weights"),
    ]:
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            Pi0.from_pretrained(released[0])
    file.unlink()
    assert_same_weights(
        Pi0.from_pretrained(released[0]), model
    )  # the weights' file knows its sizes
    rewrite(*released)  # without that note
    with pytest.raises(
        ValueError, match=r"no config.json beside the weights .*; pass config=Pi0Config"
    ):
        Pi0.from_pretrained(released[0])
    assert_same_weights(Pi0.from_pretrained(released[0], config=CONFIG), model)


def test_folders_without_weights_and_things_that_are_not_there(tmp_path):
    (tmp_path / "notes.txt").write_text("no weights here")
    with pytest.raises(
        FileNotFoundError, match=r"holds no model.safetensors: it has \['notes.txt'\]"
    ):
        Pi0.from_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(
        ValueError, match="pytorch_model.bin is no .safetensors file, and nothing else is read"
    ):
        Pi0.from_pretrained(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        Pi0.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="that is no Hugging Face repository id"):
        Pi0.from_pretrained("a name with spaces")


def test_repositories_come_through_the_hub(model, released, monkeypatch):
    asked = []

    def found(repo, allow_patterns, ignore_patterns):
        asked.append((repo, allow_patterns, ignore_patterns))
        return str(released[0])

    def unknown(repo, **patterns):
        raise LocalEntryNotFoundError("cannot find the requested files")

    monkeypatch.setattr(store, "snapshot_download", found)
    assert_same_weights(Pi0.from_pretrained("someone/pi0"), model)
    assert asked == [
        ("someone/pi0", ["*.safetensors", "*.json"], ["*/*.safetensors"])
    ]  # the Hub's "*" takes in folders, too
    monkeypatch.setattr(store, "snapshot_download", unknown)
    with pytest.raises(
        FileNotFoundError,
        match="no folder someone/else here, and from the .* Hub it could not be had: cannot find",
    ):
        Pi0.from_pretrained("someone/else")


# ---------------------------------------------------------------- writing


def test_a_failed_save_leaves_the_old_checkpoint(model, tmp_path, monkeypatch):
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(*paths):
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "replace", fails)
    other = ref.random_pi0(ref.tiny(depth=1), seed=1)
    with pytest.raises(OSError, match="no space left"):
        other.save_pretrained(tmp_path)
    assert {
        path.name: path.read_bytes() for path in tmp_path.iterdir()
    } == before  # config.json included, and no rest of a file
    assert_same_weights(Pi0.from_pretrained(tmp_path), model)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    def half(path):
        path.write_text("hal")
        raise OSError("no space left on device")

    checkpoint.write_atomically(tmp_path / "file", lambda path: path.write_text("old"))
    with pytest.raises(OSError, match="no space left"):
        checkpoint.write_atomically(tmp_path / "file", half)
    assert (tmp_path / "file").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_unknown_layout_and_nothing_written(model, tmp_path):
    with pytest.raises(ValueError, match='layout is "minipi0", "lerobot" or "paligemma", not'):
        model.save_pretrained(tmp_path / "new", layout="openpi")
    assert not (tmp_path / "new").exists()
