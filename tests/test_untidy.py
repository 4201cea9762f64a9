"""Recordings as people have them: read right, or refused in a sentence that says what to do."""

import json
import warnings
from datetime import datetime
from decimal import Decimal

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from test_data import (
    LENGTHS,
    TASKS,
    TOLERANCE,
    TOP,
    WRIST,
    edit_info,
    edit_table,
    episode_file,
    grey,
    video_file,
    write_set,
)

from minipi0 import Pi0Config, data
from minipi0.data import __main__ as command
from minipi0.data import frames, lerobot, report
from minipi0.data.splits import held_out
from minipi0.normalise import Normaliser, far

ROWS = [("frame_index", "ascending")]


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def v21(tmp_path):
    return write_set(tmp_path / "set")


def edit_feature(folder, key, **changes):
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    features[key] = features.get(key, {}) | changes
    edit_info(folder, features=features)


def rewrite(folder, change) -> None:
    """Change every table of a data set."""
    for file in folder.glob("data/**/*.parquet"):
        pq.write_table(change(pq.read_table(file)), file)


# Never in silence


def write_depth(file, count: int, pixels="gray12le") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as out:
        stream = out.add_stream("ffv1" if pixels == "gray16le" else "hevc", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for k in range(count):
            picture = np.full((48, 64), 100 * k + 900, np.uint16)
            frame = av.VideoFrame.from_ndarray(picture, format="gray16le")
            out.mux(stream.encode(frame.reformat(format=pixels)))
        out.mux(stream.encode())


@pytest.mark.parametrize("told", ["flag", "format", "file"])
def test_a_depth_video_is_left_out_and_refused_when_named(v21, told):
    if told == "file":
        for index, length in enumerate(LENGTHS):
            video_file(v21, index, WRIST).unlink()
            write_depth(video_file(v21, index, WRIST), length)
    else:
        says = {"video.is_depth_map": True} if told == "flag" else {"video.pix_fmt": "gray16le"}
        edit_feature(v21, WRIST, info=says)
    with pytest.warns(UserWarning, match=f"left out: {WRIST}: it is a depth map"):
        items = data.load(v21, 2, image_size=16)
    assert items.cameras == [TOP]
    with pytest.raises(ValueError, match="'observation.images.wrist' cannot be seen.*depth") as why:
        data.load(v21, 2, cameras=["wrist"])
    assert "truncated" not in str(why.value)


def test_a_set_whose_only_camera_is_depth_does_not_train_blind(tmp_path):
    folder = write_set(tmp_path / "set", cameras=(TOP,))
    edit_feature(folder, TOP, info={"video.is_depth_map": True})
    with pytest.raises(ValueError, match=r"none of its cameras can be seen.*cameras=\[\]"):
        data.load(folder, 2)
    assert data.load(folder, 2, cameras=[]).cameras == []
    edit_feature(folder, TOP, info={}, dtype="uint16", shape=[24, 32, 1])
    with pytest.raises(ValueError, match="none of its cameras.*uint16 of shape"):
        data.load(folder, 2)


def test_images_of_depth_are_left_out_too(tmp_path):
    import io

    from PIL import Image

    folder = write_set(tmp_path / "set", kind="image")
    stream = io.BytesIO()
    Image.fromarray(np.full((24, 32), 3000, np.uint16)).save(stream, "PNG")
    for index, length in enumerate(LENGTHS):
        cells = [{"bytes": stream.getvalue(), "path": "d.png"}] * length
        edit_table(episode_file(folder, index), observation__images__wrist=cells)
    with pytest.warns(UserWarning, match="left out: observation.images.wrist: an image of mode I"):
        assert data.load(folder, 2).cameras == [TOP]


@pytest.mark.parametrize("mode", ["z-score", "quantile", "min-max"])
@pytest.mark.parametrize("middle", [1.5, -300.0, 0.0])
def test_a_nearly_constant_dim_is_not_scaled_by_its_jitter(mode, middle):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 3)).astype(np.float32)
    values[:, 1] = middle + max(abs(middle), 1) * 1e-6 * rng.normal(size=500)
    with pytest.warns(UserWarning, match="hardly changes .* not its jitter: elbow"):
        normaliser = Normaliser.fit(values, mode, "state", ["shoulder", "elbow", "wrist"])
    near = normaliser.to_model(torch.tensor([0.0, middle + 0.01 * max(abs(middle), 0.01), 0.0]))
    assert 0 < near[1] < 20
    back = normaliser.to_robot(normaliser.to_model(torch.from_numpy(values)))
    torch.testing.assert_close(back, torch.from_numpy(values))
    others = Normaliser.fit(values[:, ::2], mode).to_model(torch.from_numpy(values[:, ::2]))
    torch.testing.assert_close(normaliser.to_model(torch.from_numpy(values))[:, ::2], others)


def test_a_small_dim_and_a_gripper_keep_their_own_scale():
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(0, 20, 500), rng.normal(0.4, 0.01, 500)], 1)
    values = np.c_[values, rng.random(500) < 0.02]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        normaliser = Normaliser.fit(values)
    assert normaliser.statistics["std"].numpy() == pytest.approx(values.std(0), rel=1e-5)
    assert far(normaliser, values) == []


@pytest.mark.parametrize("frames_", [40, 2000])
def test_a_glitch_is_told_with_its_frame(frames_):
    values = np.random.default_rng(0).normal(size=(frames_, 2))
    values[7, 1] = 1e6
    ((dim, row, z),) = far(Normaliser.fit(values), values)
    assert (dim, row) == (1, 7) and z > 20


def test_a_data_set_tells_a_glitch_with_its_episode(v21):
    edit_table(episode_file(v21, 3), action=[[0.0, 1.0]] * 5 + [[1e6, 1.0]] + [[0.0, 1.0]] * 2)
    with pytest.warns(UserWarning, match=r"arm is 1e\+06 in episode 3, frame 5 \(\|z\| = "):
        data.load(v21, 2, cameras=[])


def test_held_out_episodes_are_spread_and_stay_where_they_are():
    draws = np.array([held_out(25, 5, seed) for seed in range(200)])
    assert (draws.reshape(200, 5, 5).sum(2) == 1).all()  # one of every five
    assert (abs(draws.mean(0) - 0.2) < 0.1).all()  # and no episode is likelier than another
    assert np.array_equal(held_out(40, 5)[:25], held_out(25, 5))
    assert held_out(3, 5).sum() == 1 and not held_out(3, None).any()
    assert np.flatnonzero(held_out(12, 5, "first")).tolist() == [0, 5, 10]


def test_named_sets_keep_the_split_of_the_published_results():
    every = data.load("metaworld-two-ways", 2, cameras=[], split="all").episodes
    assert data.load("metaworld-two-ways", 2, cameras=[], split="test").episodes == every[::5]
    other = data.load("metaworld-two-ways", 2, cameras=[], split="test", test_seed=3).episodes
    assert other != every[::5]


# What people have


def test_rows_without_numbers_are_taken_in_their_order(v21):
    """NVIDIA's GR00T describes tables without frame_index."""
    whole = data.load(v21, 3, cameras=[], split="all").batch(range(45))
    rewrite(v21, lambda table: table.drop_columns("frame_index"))
    bare = data.load(v21, 3, cameras=[], split="all")
    assert torch.equal(bare.batch(range(45))[1], whole[1])
    assert bare.frame_index[:8].tolist() == [*range(7), 0]
    edit_table(episode_file(v21, 2), index=[16, 17, 19, 18, 20, 21], timestamp=[0.0] * 6)
    with pytest.raises(ValueError, match="no frame_index, and their index does not ascend after f"):
        data.load(v21, 3, cameras=[])
    edit_table(episode_file(v21, 2), timestamp=[0.1 * k for k in range(6)])  # one clock is enough
    assert data.load(v21, 3, cameras=[])
    rewrite(v21, lambda table: table.drop_columns(["index", "timestamp"]))
    with pytest.raises(ValueError, match="no frame_index, index or timestamp: add a frame_index"):
        data.load(v21, 3, cameras=[])


def test_a_table_that_does_not_name_its_episode(tmp_path):
    old, new = write_set(tmp_path / "old"), write_set(tmp_path / "new", "v3.0")
    for folder in (old, new):
        rewrite(folder, lambda table: table.drop_columns("episode_index"))
    assert len(data.load(old, 2, cameras=[], split="all")) == 45  # the file's name does
    with pytest.raises(ValueError, match="no column 'episode_index'"):
        data.load(new, 2, cameras=[])


@pytest.mark.parametrize(
    "version, template",
    [
        ("v2.1", "data/chunk-{chunk_index:03d}/episode_{episode_index:06d}.parquet"),
        ("v2.1", "data/chunk-{episode_chunk:03}/episode_{episode_id:06d}.parquet"),
        ("v2.1", None),
        ("v3.0", "data/chunk-{chunk_id:03d}/file-{file_id:03d}.parquet"),
        ("v3.0", None),
    ],
)
def test_templates_in_other_spellings(tmp_path, version, template):
    folder = write_set(tmp_path / "set", version)
    edit_info(folder, data_path=template, video_path=None)
    assert len(data.load(folder, 2, split="all", image_size=8)) == 45


@pytest.mark.parametrize(
    "template, said",
    [
        ("../other/{episode_index}.parquet", "leaves the folder of the data set"),
        ("/etc/{episode_index}.parquet", "leaves the folder of the data set"),
        ("data/{episode_index:0999999999d}.parquet", "reads {name} and {name:03d} there"),
        ("data/{episode_index.__class__}.parquet", "reads {name} and {name:03d} there"),
    ],
)
def test_templates_that_are_refused(v21, template, said):
    edit_info(v21, data_path=template)
    with pytest.raises(ValueError, match=said):
        data.load(v21, 2)


def test_a_task_that_need_not_be_numbered(v21):
    rewrite(v21, lambda table: table.drop_columns("task_index"))
    items = data.load(v21, 2, cameras=[], split="all")  # the list of episodes tells it
    assert items.tasks == [TASKS[3 if e == 1 else 0] for e in items.episode_index]
    listing = v21 / "meta" / "episodes.jsonl"
    rows = [json.loads(line) for line in listing.read_text().splitlines()]
    bare = [{k: v for k, v in row.items() if k != "tasks"} for row in rows]
    listing.write_text("".join(json.dumps(row) + "\n" for row in bare))
    with pytest.raises(ValueError, match="no task_index, and .* tells 2 tasks"):
        data.load(v21, 2, cameras=[])
    tasks = v21 / "meta" / "tasks.jsonl"
    tasks.write_text('{"task_index": 4, "task": "wave"}\n')  # one task, whatever its number
    assert set(data.load(v21, 2, cameras=[]).tasks) == {"wave"}
    tasks.unlink()
    with pytest.raises(FileNotFoundError, match="tasks.jsonl is missing"):
        data.load(v21, 2, cameras=[])
    same = [row | {"tasks": ["nod"]} for row in bare]
    listing.write_text("".join(json.dumps(row) + "\n" for row in same))
    assert set(data.load(v21, 2, cameras=[]).tasks) == {"nod"}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("values", [pa.uint8(), pa.int64()])
@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_images_as_arrays_in_the_tables(tmp_path, first, values, version):
    folder = write_set(tmp_path / "set", version, kind="image", cameras=(TOP,))
    shape = (3, 24, 32) if first else (24, 32, 3)

    def arrays(table):
        start = table["index"].to_pylist()
        cells = [np.full(shape, grey(n)).tolist() for n in start]
        kind = pa.list_(pa.list_(pa.list_(values)))
        return table.set_column(table.column_names.index(TOP), TOP, pa.array(cells, kind))

    rewrite(folder, arrays)
    edit_feature(folder, TOP, dtype="uint8", shape=list(shape))
    items = data.load(folder, 2, image_size=32, split="all")
    levels = (items.batch(range(45))[0].images[:, 0, :, 12, 12] + 1) * 127.5
    assert (levels - torch.tensor([grey(n) for n in range(45)])[:, None]).abs().max() < 0.01


def test_a_state_of_several_features(tmp_path):
    folder = write_set(tmp_path / "set", keys=("observation.state.arm", "action.all"))

    def more(table):
        hand = pa.array([[float(k)] for k in range(len(table))])
        return table.append_column("observation.state.hand", hand)

    rewrite(folder, more)
    edit_feature(folder, "observation.state.hand", dtype="float32", shape=[1], names=["x"])
    both = ["observation.state.hand", "observation.state.arm"]
    items = data.load(folder, 2, cameras=[], state_key=both, action_key="action.all")
    assert items.state.shape[1] == 4 and items.state[:3, 0].tolist() == [0, 1, 2]
    assert items.state_names == [f"{both[0]}.x", *(f"{both[1]}.{name}" for name in "xyz")]
    with pytest.raises(ValueError, match=r"no feature .*several together are a list, state_key=\["):
        data.load(folder, 2, action_key="action.all")
    with pytest.raises(ValueError, match="no feature observation.state.leg; choose one"):
        data.load(folder, 2, state_key=["observation.state.leg"], action_key="action.all")


def test_openpis_names(tmp_path):
    folder = write_set(
        tmp_path / "set", "v2.0", kind="image", cameras=("image", "wrist_image"),
        keys=("state", "actions"),
    )  # fmt: skip
    items = data.load(folder, 2, image_size=8)
    assert items.cameras == ["image", "wrist_image"] and items.state.shape[1] == 3
    assert data.load(folder, 2, cameras=["image"], image_size=8).cameras == ["image"]


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_declared_camera_without_files(tmp_path, version):
    folder = write_set(tmp_path / "set", version)
    of_wrist, of_top = (
        [file for file in folder.glob("videos/**/*.mp4") if key in str(file)]
        for key in (WRIST, TOP)
    )
    for file in of_wrist:
        file.unlink()
    with pytest.warns(UserWarning, match="left out: .*wrist: none of its files is there, not even"):
        assert data.load(folder, 2, image_size=8).cameras == [TOP]
    with pytest.raises(FileNotFoundError, match=r"declares the camera .*wrist, but none .*top'"):
        data.load(folder, 2, cameras=["wrist"])
    assert data.load(folder, 2, cameras=["top"], image_size=8)
    for file in of_top:
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"declares the camera .*load it with cameras=\[\]"):
        data.load(folder, 2)
    assert data.load(folder, 2, cameras=[])


def test_a_camera_of_which_some_files_are_missing_is_refused(v21):
    video_file(v21, 3, WRIST).unlink()
    with pytest.raises(FileNotFoundError, match=r"\(1 of the 6 videos of .*wrist are\).*top'"):
        data.load(v21, 2)


def test_a_declared_camera_that_v3_lists_nowhere(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0", cameras=(TOP,))
    edit_feature(folder, WRIST, dtype="video", shape=[24, 32, 3])
    with pytest.warns(UserWarning, match="left out: .*wrist: the list of episodes .* no video"):
        assert data.load(folder, 2, image_size=8).cameras == [TOP]
    with pytest.raises(ValueError, match="cannot be seen: the list of episodes"):
        data.load(folder, 2, cameras=["wrist"])


@pytest.mark.parametrize(
    "file, said",
    [
        ("meta_data/info.json", "LeRobot v1 data set .*convert_dataset_v1_to_v2.py"),
        ("sub/meta/info.json", "has no meta/info.json, but .*sub: name that"),
        ("x-train.tfrecord-00000-of-00001", "TensorFlow records"),
        ("episode_0.hdf5", "HDF5 files: convert them to LeRobot first"),
        ("notes.txt", "has no meta/info.json: name the folder that holds meta/"),
    ],
)
def test_what_is_no_lerobot_data_set_is_named(tmp_path, file, said):
    (tmp_path / "it" / file).parent.mkdir(parents=True)
    (tmp_path / "it" / file).write_text("{}")
    with pytest.raises(FileNotFoundError, match=f"is no LeRobot data set: it .*{said}"):
        data.load(tmp_path / "it", 2)


def test_an_old_version_is_named_with_its_converter(v21):
    edit_info(v21, codebase_version="v1.6")
    with pytest.raises(ValueError, match="version 'v1.6' is unknown.*convert_dataset_v1_to_v2.py"):
        data.load(v21, 2)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_some_episodes(tmp_path, version):
    folder = write_set(tmp_path / "set", version)
    whole = data.load(folder, 3, split="all", image_size=16)
    some = data.load(folder, 3, split="all", image_size=16, episodes=[4, 1, 3], without=[3])
    assert some.episodes == [1, 4] and len(some) == LENGTHS[1] + LENGTHS[4]
    here = torch.isin(whole.episode_index, torch.tensor([1, 4]))
    assert torch.equal(some.actions, whole.actions[here])
    pictures = whole.batch(here.nonzero().flatten())[0].images
    assert (some.batch(range(len(some)))[0].images - pictures).abs().max() < 1e-6
    assert data.load(folder, 3, split="all", cameras=[], without=[0]).episodes == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="lists no episode 9; it has 0-5: correct episodes="):
        data.load(folder, 3, episodes=[9])
    with pytest.raises(ValueError, match="no episode is left; it has 0-5"):
        data.load(folder, 3, episodes=[1], without=[1])


def test_a_partial_copy(v21):
    for index in (2, 5):
        episode_file(v21, index).unlink()
        video_file(v21, index).unlink()
        video_file(v21, index, WRIST).unlink()
    with pytest.raises(FileNotFoundError, match="000002.parquet.*(2 of 6 .*)episodes=0-1, 3-4"):
        data.load(v21, 2)
    assert data.load(v21, 2, split="all", episodes=[0, 1, 3, 4], image_size=8)
    assert data.load(v21, 2, split="all", without=[2, 5], cameras=[])


def test_a_mixture_where_each_has_its_own(tmp_path):
    one, other = write_set(tmp_path / "one"), write_set(tmp_path / "other", keys=("state", "act"))
    both = data.load(
        [one, other], 2, cameras=[], episodes=[[1, 2], [3, 4, 5]], test_every=None,
        action_key=[["action"], ["act"]],
    )  # fmt: skip
    assert [part.episodes for part in both.parts] == [[1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="2 data sets, and episodes for 1"):
        data.load([one, other], 2, episodes=[[1]])


# The right advice

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet", "mp4"])
def test_git_lfs_pointers(tmp_path, version, kind):
    folder = write_set(tmp_path / "set", version)
    for file in folder.glob(f"**/*.{kind}"):
        file.write_text(POINTER)
    if (version, kind) == ("v3.0", "jsonl"):
        return
    with pytest.raises(ValueError, match="is a Git LFS pointer, not .* run `git lfs pull`") as why:
        data.load(folder, 2)
    assert "fetch" not in str(why.value)


def test_pointers_of_some_episodes_are_a_partial_copy(v21):
    episode_file(v21, 3).write_text(POINTER)
    with pytest.raises(ValueError, match="git lfs pull.*(1 of 6 .*)episodes=0-2, 4-5"):
        data.load(v21, 2, cameras=[])
    assert data.load(v21, 2, cameras=[], without=[3])


def test_a_web_page_in_place_of_a_file(v21):
    video_file(v21, 0).write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(ValueError, match="is a web page, not the file itself: download the raw"):
        data.load(v21, 2)


def drifting(folder, drift: float):
    """Every episode begins later than its first frame is shown, the last one the most."""
    for file in sorted((folder / "meta" / "episodes").glob("**/*.parquet")):
        table = pq.read_table(file)
        column = f"videos/{TOP}/from_timestamp"
        told = zip(table["episode_index"].to_pylist(), table[column].to_pylist(), strict=True)
        edit_table(file, **{column.replace(".", "__"): [t + drift * (e % 2) for e, t in told]})


@pytest.mark.parametrize("drift", [0.01, 0.08, 0.35, -0.12])
def test_from_timestamps_that_drift(tmp_path, drift):
    folder = write_set(tmp_path / "set", "v3.0", cameras=(TOP,))
    drifting(folder, drift)
    if abs(drift) > 0.051:
        with pytest.warns(UserWarning, match="taken in order, yet not at the times told"):
            items = data.load(folder, 2, split="all", image_size=32)
    else:
        items = data.load(folder, 2, split="all", image_size=32)
    seen = (items.batch(range(45))[0].images[:, 0, 0, 16, 16] + 1) * 127.5
    assert (seen - torch.tensor([grey(n) for n in range(45)])).abs().max() <= TOLERANCE
    some = data.load(folder, 2, split="all", image_size=32, episodes=[1, 2])  # of a shared file
    seen = (some.batch(range(9))[0].images[:, 0, 0, 16, 16] + 1) * 127.5
    assert (seen - torch.tensor([grey(n) for n in range(7, 16)])).abs().max() <= TOLERANCE


def test_missing_keys_are_told_in_sentences(v21):
    info = json.loads((v21 / "meta" / "info.json").read_text())
    for key in ("fps", "codebase_version", "features"):
        less = {name: value for name, value in info.items() if name != key}
        (v21 / "meta" / "info.json").write_text(json.dumps(less))
        with pytest.raises(ValueError, match=f"info.json has no '{key}', which .*: add it") as why:
            data.load(v21, 2)
        assert "KeyError" not in str(why.value)


def test_the_report_takes_the_same_keys(tmp_path, capsys):
    folder = write_set(tmp_path / "set", keys=("joints", "command"))
    with pytest.raises(SystemExit):
        command.main([str(folder)])
    said = capsys.readouterr().err
    assert "--state-key" in said and "state_key" not in said and said.count("\n") == 1
    options = ["--state-key", "joints", "--action-key", "command", "--without", "0", "2-3"]
    command.main([str(folder), *options])
    assert "episodes  3" in capsys.readouterr().out


# Room on the disk


def test_room_for_all_cameras_is_checked_before_the_first_is_decoded(v21, monkeypatch):
    need = 45 * 3 * 64 * 64
    free = {"free": int(1.5 * need)}
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), free))
    monkeypatch.setattr(frames, "_decode_file", lambda *_: pytest.fail("decoded"))
    with pytest.raises(OSError, match="for all cameras.*or name fewer cameras="):
        data.load(v21, 2)


def test_and_for_all_data_sets_of_a_mixture(tmp_path, monkeypatch):
    one, other = (write_set(tmp_path / name, cameras=(TOP,)) for name in ("one", "other"))
    video_file(other, 0).write_bytes(video_file(other, 1).read_bytes())  # other frames, other film
    need = 45 * 3 * 64 * 64
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1.5 * need}))
    monkeypatch.setattr(frames, "_decode_file", lambda *_: pytest.fail("decoded"))
    with pytest.raises(OSError, match="needs 0.0 GB for all cameras"):
        data.load([one, other], 2)
    with pytest.raises(ValueError, match="weights must be 2 positive numbers"):
        data.load([one, other], 2, weights=[1])
    with pytest.raises(ValueError, match="list of data sets is empty"):
        data.load([], 2)
    monkeypatch.setattr(frames, "_decode_file", lambda *_: "")  # a film that both share: once
    assert data.load([one, one], 2).cameras == [TOP]


def test_warnings_point_to_the_line_that_loads(v21):
    rewrite(v21, lambda table: table.set_column(1, "action", pa.array([[0.5, 2.0]] * len(table))))
    for source in (v21, [v21, v21]):
        with pytest.warns(UserWarning, match="never changes") as warned:
            data.load(source, 2, cameras=[])
        assert {warning.filename for warning in warned} == {__file__}


def test_what_is_cached_needs_no_room(v21, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    data.load(v21, 2)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
    assert data.load(v21, 2) and lerobot.read(v21).no_cameras == {}


def test_git_lfs_pointers_of_a_checkpoint(tmp_path):
    from minipi0 import Pi0

    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_text(POINTER)
    with pytest.raises(ValueError, match="is a Git LFS pointer, not .* run `git lfs pull`"):
        Pi0.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match="model.safetensors is a Git LFS pointer"):
        Pi0.from_pretrained(tmp_path, config=Pi0Config.mini(2, 3))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"chunks_size": "x"}, "chunks_size is 'x', no number from 1 on"),
        ({"fps": "10"}, "fps is '10': write the rate there"),
        ({"features": [1]}, r"features is \[1\], not {name: "),
        ({"fps": True}, "fps is True: write the rate there"),
        ({"features": {"x": None}}, "the feature 'x' is None, not {dtype.*: declare it, or remove"),
    ],
)
def test_metadata_of_the_wrong_kind(v21, changes, said):
    edit_info(v21, **changes)
    with pytest.raises(ValueError, match=said):
        data.load(v21, 2)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"episodes": 3}, "episodes is a list of numbers, not 3"),
        ({"without": "0-2"}, "without is a list of numbers, not '0-2'"),
        ({"state_key": TOP}, "observation.images.top is a camera; choose numbers with state_key="),
    ],
)
def test_arguments_of_the_wrong_kind(v21, options, said):
    with pytest.raises(ValueError, match=said):
        data.load(v21, 2, **options)
    assert len(data.load(v21, 2, cameras=[], split="all", episodes=np.arange(2))) == 16


def test_a_camera_of_an_unknown_kind_is_told(v21):
    edit_feature(v21, WRIST, dtype="rgb")
    with pytest.warns(UserWarning, match="left out: .*wrist: its values are rgb of shape"):
        assert data.load(v21, 2, image_size=8).cameras == [TOP]


def test_a_table_that_lacks_a_column_is_no_truncated_file(v21):
    rewrite(v21, lambda table: table.drop_columns("action"))
    with pytest.raises(ValueError, match="has no column 'action', which info.json decl") as error:
        data.load(v21, 2)
    assert "truncated" not in str(error.value)


def test_unreadable_text_is_told_once(v21):
    (v21 / "meta" / "tasks.jsonl").write_bytes(b'{"task_index": 0, "task": "\xff"}\n')
    with pytest.raises(ValueError, match="tasks.jsonl is no text in UTF-8") as error:
        data.load(v21, 2)
    assert str(error.value).count("tasks.jsonl") == 1


# Texts


def tasks_of(folder, text: str, encoding="utf-8") -> set[str]:
    """Write tasks.jsonl with this text as task 0; all texts that are read."""
    lines = f'{{"task_index": 0, "task": "{text}"}}\n{{"task_index": 3, "task": "x"}}\n'
    (folder / "meta" / "tasks.jsonl").write_bytes(lines.encode(encoding, "surrogatepass"))
    return set(data.load(folder, 2, cameras=[], split="all").tasks)


def test_texts_in_other_encodings(v21):
    assert tasks_of(v21, "caf\u00e9 \U0001f916") == {"caf\u00e9 \U0001f916", "x"}
    assert tasks_of(v21, "one\u2028line\x85all the same") == {"one\u2028line\x85all the same", "x"}
    with pytest.raises(ValueError, match="tasks.jsonl is no text in UTF-8 .*: save it in that enc"):
        tasks_of(v21, "caf\u00e9", "latin-1")
    with pytest.raises(ValueError, match="tasks.jsonl: the text of task 0 is .*: write the instru"):
        tasks_of(v21, "half of a character: \\ud800")
    for file in ("episodes.jsonl", "info.json"):  # as Windows' editor saves them
        path = v21 / "meta" / file
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert tasks_of(v21, "a", "utf-8-sig") == {"a", "x"}


@pytest.mark.parametrize(
    "tasks, said",
    [
        ({"task": [b"caf\xe9", b"x"]}, r"the text of task 0 is b'caf\\xe9': write the instruction"),
        ({"text": ["a", "b"]}, "expected task_index and the text as 'task' or as the index"),
        ({"task_index": [0, 0], "task": ["a", "b"]}, "task 0 is 'a' and 'b': keep the right one"),
        ({"task_index": [0, None], "task": ["a", "b"]}, "has empty cells: write the numbers there"),
        ({"task": ["a", None]}, "the text of task 3 is None: write the instruction there"),
    ],
)
def test_tables_of_tasks_that_are_refused(tmp_path, tasks, said):
    folder = write_set(tmp_path / "set", "v3.0")
    file = folder / "meta" / "tasks.parquet"
    pq.write_table(pa.table({"task_index": [0, 3]} | tasks), file)
    with pytest.raises(ValueError, match=f"tasks.parquet.*{said}"):
        data.load(folder, 2, cameras=[])


def test_tables_of_tasks_that_are_read(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0")
    file = folder / "meta" / "tasks.parquet"
    more = {"task_index": [3.0, 0.0], "category": ["x", "y"], "task": ["turn", "lift"]}
    pq.write_table(pa.table(more), file)
    assert set(data.load(folder, 2, cameras=[], split="all").tasks) == {"turn", "lift"}
    broken = pa.table(more).replace_schema_metadata({"pandas": "{half of"})
    pq.write_table(broken, file)
    with pytest.raises(ValueError, match="tasks.parquet cannot be read"):
        data.load(folder, 2, cameras=[])


# Numbers


def replaced(name, values):
    """What `rewrite` takes: another column of this name."""

    def change(table):
        column = pa.array(values(len(table))) if callable(values) else values
        return table.set_column(table.column_names.index(name), name, column)

    return change


def test_a_bimanual_robot_with_three_cameras(tmp_path):
    names = ("cam_high", "cam_left_wrist", "cam_right_wrist")
    cameras = [f"observation.images.{name}" for name in names]
    folder, rng, seen = write_set(tmp_path / "set", cameras=cameras), np.random.default_rng(0), []
    joints = [f"{side}_{i}" for side in ("left", "right") for i in range(7)]
    for key in ("observation.state", "action"):
        edit_feature(folder, key, shape=[14], names=[joints])  # nested, as ALOHA's are
    for index, length in enumerate(LENGTHS):
        seen.append(rng.normal(size=(2, length, 14)).astype(np.float32))
        columns = {"observation__state": seen[-1][0].tolist(), "action": seen[-1][1].tolist()}
        edit_table(episode_file(folder, index), **columns)
    items = data.load(folder, 4, image_size=16, split="all")
    assert items.action_names == items.state_names == joints and items.cameras == cameras
    np.testing.assert_array_equal(items.state, np.concatenate([one[0] for one in seen]))
    np.testing.assert_array_equal(items.actions, np.concatenate([one[1] for one in seen]))
    observation, actions, _ = items[20]
    assert observation.images.shape == (3, 3, 16, 16) and actions.shape == (4, 14)


@pytest.mark.parametrize(
    "kind, values",
    [
        ("half", lambda n: [np.float16([i, 0.5]) for i in range(n)]),
        ("decimal", lambda n: [[Decimal(i), Decimal("0.5")] for i in range(n)]),
        ("double", lambda n: [[float(i), 0.5] for i in range(n)]),
    ],
)
def test_numbers_of_every_kind(v21, kind, values):
    rewrite(v21, replaced("action", values))
    with pytest.warns(UserWarning, match="never changes"):
        items = data.load(v21, 2, cameras=[], split="all")
    assert items.actions[:3].tolist() == [[0, 0.5], [1, 0.5], [2, 0.5]]


@pytest.mark.parametrize("shape", [2, None, "(2,)", [2]])
def test_shapes_as_people_write_them(v21, shape):
    edit_feature(v21, "action", shape=shape)
    edit_feature(v21, TOP, shape=None, info=None)
    assert len(data.load(v21, 2, cameras=["top"], split="all", image_size=8)) == 45
    assert "observation.images.top (of unknown size, video)" in str(report.examine(v21))


@pytest.mark.parametrize(
    "values, said",
    [
        (lambda n: [{"x": 1.0, "y": 2.0}] * n, "holds struct.*, not numbers: choose another"),
        (lambda n: [[{"name": "x", "value": 1.0}] * 2] * n, "holds struct.*, not numbers"),
        (lambda n: [["1", "2"]] * n, "holds string, not numbers"),
        (lambda n: [[1.0, None]] * n, "is nan as float32 in episode 0, frame 0, dimension 1"),
        (lambda n: [[1.0, 2.0]] * (n - 1) + [None], "different or missing lengths"),
        (lambda n: [[1e300, 0.0]] * n, "is inf as float32 in episode 0, frame 0"),
    ],
)
def test_actions_that_are_refused(v21, values, said):
    rewrite(v21, replaced("action", values))
    with pytest.raises(ValueError, match=f"episode_000000.parquet: 'action' .*{said}"):
        data.load(v21, 2, cameras=[])


def test_a_column_that_comes_twice(v21):
    rewrite(v21, lambda table: table.append_column("action", table["action"]))
    with pytest.raises(ValueError, match="has the column 'action' twice: keep the right one"):
        data.load(v21, 2, cameras=[])


def test_clocks_that_restart_or_are_dates(v21):
    rewrite(v21, replaced("timestamp", lambda n: [0.1 * (i % 4) for i in range(n)]))
    assert len(data.load(v21, 2, cameras=[], split="all")) == 45, "frames are numbered"
    problems = report.examine(v21).problems
    assert "does not grow" in next(one.what for one in problems if one.kind == "clock")
    rewrite(v21, lambda table: table.drop_columns(["frame_index", "index"]))
    with pytest.raises(ValueError, match="their timestamp does not ascend after frame 3"):
        data.load(v21, 2, cameras=[])
    dates = replaced(
        "timestamp", lambda n: [datetime(2026, 1, 1, second=i // 10) for i in range(0, 10 * n, 10)]
    )
    rewrite(v21, dates)
    assert len(data.load(v21, 2, cameras=[], split="all")) == 45
    problems = report.examine(v21).problems
    assert "1.00 to 1.00 frames a second" in next(p.what for p in problems if p.kind == "clock")


def test_an_episode_without_frames(v21):
    lines = (v21 / "meta" / "episodes.jsonl").read_text()
    (v21 / "meta" / "episodes.jsonl").write_text(lines + '{"episode_index": 6, "length": 0}\n')
    edit_info(v21, total_episodes=7)
    pq.write_table(pq.read_table(episode_file(v21, 0)).slice(0, 0), episode_file(v21, 6))
    with pytest.raises(ValueError, match=r"episode 6 has no frames.*: leave it out .*\[6\]"):
        data.load(v21, 2, cameras=[])
    assert len(data.load(v21, 2, cameras=[], split="all", without=[6])) == 45


def test_episodes_in_another_order(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0")
    options = dict(horizon=3, cameras=["top"], image_size=16, split="all")
    before = data.load(folder, **options)
    for file in folder.glob("meta/episodes/**/*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.take(list(range(len(table)))[::-1]), file)
    rewrite(folder, lambda table: table.sort_by([("episode_index", "descending"), *ROWS]))
    after = data.load(folder, **options)
    assert torch.equal(before.actions, after.actions) and before.episodes == after.episodes
    np.testing.assert_array_equal(before.pictures[0], after.pictures[0])


# Cameras


def test_numbers_that_pandas_could_not_write(tmp_path):
    """A camera that some episodes lack makes its file numbers floats, and NaN."""
    folder = write_set(tmp_path / "set", "v3.0")
    for file in folder.glob("meta/episodes/**/*.parquet"):
        table, name = pq.read_table(file), f"videos/{WRIST}/file_index"
        at = table.column_names.index(name)
        none = pa.array([float("nan")] * len(table))
        pq.write_table(table.set_column(at, name, none), file)
    with pytest.warns(UserWarning, match="left out: .*wrist: the list of episodes .* no video"):
        assert data.load(folder, 2, image_size=8).cameras == [TOP]


@pytest.mark.parametrize("fragments", [True, False])
def test_videos_without_an_index(v21, fragments):
    """What a recorder leaves that is killed: fragments, or the bare stream."""
    start = 0
    for index, length in enumerate(LENGTHS):
        file = video_file(v21, index)
        shades = [grey(n) for n in range(start, start + length)]
        bare = file.with_suffix(".h264")
        how = {"options": {"movflags": "frag_keyframe+empty_moov"}} if fragments else {}
        with av.open(str(file if fragments else bare), "w", **how) as out:
            stream = out.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
            for shade in shades:
                picture = np.full((24, 32, 3), shade, np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(stream.encode())
        if not fragments:
            bare.replace(file)
        start += length
    pictures = data.load(v21, 2, cameras=["top"], image_size=16).pictures[0]
    for n in range(45):
        assert abs(int(pictures[n, 0, 8, 8]) - grey(n)) <= TOLERANCE


def test_cells_that_are_no_images(tmp_path):
    folder = write_set(tmp_path / "set", kind="image")
    edit_table(episode_file(folder, 0), observation__images__top=["aGVsbG8="] * LENGTHS[0])
    with pytest.raises(ValueError, match="top' holds string, .*cells hold the bytes of PNG or JP"):
        data.load(folder, 2)
    rewrite(folder, lambda table: large_binary(table) if TOP in table.column_names else table)
    assert data.load(folder, 2, cameras=["wrist"], image_size=8).cameras == [WRIST]


def large_binary(table):
    """A table whose wrist camera is bytes alone, as other libraries write them."""
    cells = pa.array([cell["bytes"] for cell in table[WRIST].to_pylist()], pa.large_binary())
    return table.set_column(table.column_names.index(WRIST), WRIST, cells)


def test_names_that_are_too_long_for_a_file(tmp_path):
    camera = "observation.images." + "w" * 120
    folder = write_set(tmp_path / ("n" * 200), cameras=(camera,))
    assert data.load(folder, 2, image_size=8).cameras == [camera]
