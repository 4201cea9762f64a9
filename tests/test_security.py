"""What comes from elsewhere cannot run code, reach other files, or ask for endless memory."""

import ast
import io
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import test_data
import torch
from PIL import Image
from synthetic import TINY, Chunks, as_others_write_it, tiny

from minipi0 import Pi0, checkpoint, data
from minipi0.checkpoint import run
from minipi0.data import sources
from minipi0.robot import server
from minipi0.train import Recipe, fit

PACKAGE = Path(__file__).parents[1] / "minipi0"
SOURCES = {file: ast.parse(file.read_text()) for file in PACKAGE.rglob("*.py")}
FORBIDDEN = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "torch.load", "torch.save", "os.system", "yaml.load", "hub.load"}


# ---------------------------------------------------------------- no code from a file


def test_no_pickle_is_imported_and_no_text_is_run():
    """Neither `eval` nor a subprocess; `eval()` of a module is torch's, and takes no argument."""
    for file, tree in SOURCES.items():
        for node in ast.walk(tree):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            if isinstance(node, ast.Import | ast.ImportFrom):
                names.append(getattr(node, "module", None) or "")
                assert not FORBIDDEN & {name.split(".")[0] for name in names}, file
                assert "subprocess" not in names, file
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in FORBIDDEN_CALLS, (file, node.lineno)
                for option in node.keywords:
                    assert option.arg not in ("trust_remote_code", "shell"), (file, node.lineno)
                    if option.arg == "allow_pickle":
                        assert ast.unparse(option.value) == "False", (file, node.lineno)
                if ast.unparse(node.func) == "np.load":
                    assert "allow_pickle" in [option.arg for option in node.keywords], file


class Evil:
    """What a pickle can hold: reading it would write a file."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_a_malicious_pickle_is_never_opened(tmp_path, monkeypatch):
    mark = tmp_path / "owned"
    evil = pickle.dumps(Evil(mark))
    pickle.loads(evil)
    assert mark.exists(), "it does what it should"
    mark.unlink()
    model = tmp_path / "model"
    tiny().save_pretrained(model)
    for name in ("pytorch_model.bin", "model.pt", "model.ckpt", "model.pkl"):
        (model / name).write_bytes(evil)
        with pytest.raises(ValueError, match="nothing else is read"):
            Pi0.from_pretrained(model / name)
    for name in ("model.safetensors", "config.json"):
        kept = (model / name).read_bytes()
        (model / name).write_bytes(evil)
        with pytest.raises(ValueError, match=re.escape(name)):
            Pi0.from_pretrained(model)
        (model / name).write_bytes(kept)
    Pi0.from_pretrained(model)
    training = dict(recipe=Recipe(steps=1, batch_size=4, warmup=0), out=tmp_path / "run")
    fit(tiny(), Chunks(), progress=False, **training)
    (tmp_path / "run" / run.STATE).write_bytes(evil)
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        fit(tiny(), Chunks(), resume=True, progress=False, **training)

    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    folder = test_data.write_set(tmp_path / "set", lengths=[3, 2], cameras=[test_data.TOP])
    options = dict(source=folder, horizon=2, image_size=8, test_every=None)
    right = data.load(**options).batch([0, 1])[0].images
    (cached,) = (tmp_path / "cache" / "frames").glob("*.npy")
    with cached.open("wb") as file:  # an array of objects, as numpy pickles them
        np.save(file, np.array([Evil(mark)], dtype=object), allow_pickle=True)
    assert torch.equal(data.load(**options).batch([0, 1])[0].images, right)

    array = {b"__ndarray__": True, b"data": evil, b"dtype": "|O", b"shape": [1]}
    with pytest.raises(ValueError, match="arrays of object are refused"):
        server.unpack(server.pack(array))
    assert not mark.exists()


AUDITED = """
import os, sys
at = sys.argv[1]
allowed = tuple(os.path.join(at, name) for name in ("cache", "out"))
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and isinstance(path, str) and not path.startswith((*allowed, "/dev/", "/proc/")):
            print("writes", path)
    elif event in ("os.rename", "os.mkdir", "os.remove", "os.link", "os.symlink"):
        if not all(str(path).startswith(allowed) for path in arguments if isinstance(path, str)):
            print(event, arguments)
    elif event in ("pickle.find_class", "socket.connect", "subprocess.Popen", "os.system"):
        print(event, arguments)
import minipi0.train, minipi0.robot.policy  # what libraries do when imported is theirs
sys.addaudithook(watch)
line = "--data metaworld-two-ways --steps 2 --batch-size 2 --save-every 1 --device cpu"
for more in ([], ["--resume"]):
    minipi0.train.main([*line.split(), "--test-every", "0", "--out", at + "/out", *more])
minipi0.robot.policy.Policy.from_pretrained(at + "/out").warm_up()
"""


def test_training_writes_to_its_folder_and_the_cache_alone(tmp_path):
    """Nor does it unpickle, connect to anybody, or start a program."""
    home = tmp_path / "home"
    home.mkdir()
    given = {"MINIPI0_CACHE": str(tmp_path / "cache"), "HOME": str(home), "TMPDIR": str(home)}
    done = subprocess.run(
        [sys.executable, "-B", "-c", AUDITED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, **given},
        cwd=home,
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert done.stdout.splitlines().count(f"trained model: {out}") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "home", "out"]
    assert list(home.rglob("*")) == []


# ---------------------------------------------------------------- no file beyond the folder

ELSEWHERE = ["../secret.safetensors", "/etc/passwd", "a/../../b.safetensors", "..", "", 3, None]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_index_names_files_beside_it(name, tmp_path):
    tiny().save_pretrained(tmp_path / "model", layout="lerobot")
    there = tmp_path / "model" / "model.safetensors"
    index = {"weight_map": {key: name for key in checkpoint.read_tensors(there)[0]}}
    there.rename(tmp_path / "secret.safetensors")
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="is no index of shards: .*is no file beside it"):
        Pi0.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("name", ELSEWHERE[:4])
def test_a_processor_names_files_beside_it(name, tmp_path):
    file = tmp_path / "model" / "model.safetensors"
    tiny().save_pretrained(file.parent, layout="lerobot")
    as_others_write_it(file)
    step = {"registry_name": "normalizer_processor", "state_file": name}
    (file.parent / "policy_preprocessor.json").write_text(json.dumps({"steps": [step]}))
    with pytest.raises(ValueError, match="policy_preprocessor.json names .* no file beside it"):
        Pi0.from_pretrained(file.parent)


@pytest.mark.parametrize("name", ["data_path", "video_path"])
def test_a_data_set_stays_in_its_folder(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    for folder in ("secret", "set"):
        test_data.write_set(tmp_path / folder, lengths=[3, 2], cameras=[test_data.TOP])
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    options = dict(source=tmp_path / "set", horizon=2, image_size=8, test_every=None)
    # the last two would be a text of 100 MB, and a look into Python's own objects
    bad = ("../secret/", f"{tmp_path}/secret/", "{episode_index:099999999d}", "{0.__class__}")
    for elsewhere in bad:
        test_data.edit_info(tmp_path / "set", **{name: elsewhere + info[name]})
        with pytest.raises(ValueError, match=f"info.json.*{name}"):
            data.load(**options)


def test_downloads_are_pinned_and_checked():
    assert re.search(r"/[0-9a-f]{40}/", sources.CR5_BANANA_URL)
    checksums = sources.read_checksums(sources.CR5_BANANA_CHECKSUMS)
    assert len(checksums) > 80
    for path, digest in checksums.items():
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert not Path(path).is_absolute() and ".." not in Path(path).parts


# ---------------------------------------------------------------- no endless memory


@pytest.mark.parametrize(
    ("part", "name", "size"),
    [
        ("vlm", "depth", 10**9),
        ("vision", "depth", 10**12),
        ("vlm", "width", 10**15),
        ("action_expert", "num_heads", 10**12),
        ("vision", "image_size", 10**9),
        (None, "vocab_size", 10**12),
        (None, "horizon", 10**9),
        (None, "action_dim", 1e300),
    ],
)
@pytest.mark.parametrize("both", [True, False])
def test_absurd_sizes_are_refused_before_anything_is_built(part, name, size, both, tmp_path):
    sizes = TINY.to_dict()
    (sizes[part] if part else sizes)[name] = size
    tiny().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"minipi0": sizes}))
    if both:  # the weights' file says the same
        file = tmp_path / "model.safetensors"
        noted = {"minipi0": json.dumps({"config": sizes})}
        checkpoint.write_tensors(tmp_path / "new", checkpoint.read_tensors(file)[0], noted)
        (tmp_path / "new").replace(file)
    with pytest.raises(ValueError, match=f"its {name} is .*, and no pi0 has more than"):
        Pi0.from_pretrained(tmp_path)


def test_absurd_sizes_of_others(tmp_path):
    tiny().save_pretrained(tmp_path, layout="lerobot")
    file = tmp_path / "model.safetensors"
    as_others_write_it(file)
    config = json.loads((tmp_path / "config.json").read_text())
    config["dit_config"]["num_hidden_layers"] = 10**9
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="its depth is 1000000000, and no pi0 has more than"):
        Pi0.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="config.json .* its brackets are nested too deeply"):
        Pi0.from_pretrained(tmp_path)


@pytest.mark.parametrize("what", ["image", "nesting"])
def test_a_data_set_that_unpacks_to_gigabytes(what, tmp_path, monkeypatch):
    """A PNG of 200 kB with 196 million pixels; an info.json of brackets alone."""
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    camera = test_data.TOP
    folder = test_data.write_set(tmp_path / "set", lengths=[3], cameras=[camera], kind="image")
    if what == "image":
        packed = io.BytesIO()
        Image.new("1", (14_000, 14_000)).save(packed, "PNG")
        file = test_data.episode_file(folder, 0)
        table = pq.read_table(file)
        cells = pa.array([{"bytes": packed.getvalue(), "path": None}] * 3)
        pq.write_table(table.set_column(table.column_names.index(camera), camera, cells), file)
    else:
        (folder / "meta" / "info.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="set"):
        data.load(folder, horizon=2, image_size=8, test_every=None)


def test_a_header_that_promises_more_than_the_file_has(tmp_path):
    tiny().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    whole = file.read_bytes()
    for length in (2**63 - 1, 2**40, len(whole)):
        file.write_bytes(length.to_bytes(8, "little") + whole[8:])
        with pytest.raises(ValueError, match="not a complete safetensors file"):
            Pi0.from_pretrained(tmp_path)


def test_a_message_that_promises_more_than_it_has():
    """msgpack's lengths, and an array's shape, are checked against the bytes that came."""
    for message in (b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 100_000):
        with pytest.raises(ValueError, match="cannot be read as msgpack"):
            server.unpack(message)
    array = {b"__ndarray__": True, b"data": b"1234", b"dtype": "<f4", b"shape": [10**12]}
    with pytest.raises(ValueError, match="cannot be read as msgpack"):
        server.unpack(server.pack(array))
