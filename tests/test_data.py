"""Small data sets of both versions are written here and read back; the same checks on real
recordings where $MINIPI0_DATA has them.

Each frame of a test set is one grey level, `grey(n)` for the n-th frame of the whole set, so a
frame in the wrong place is seen.
"""

import io
import json
import os
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from minipi0 import data, prompt
from minipi0.data import decoders, features, frames, lerobot, pictures, sources

LENGTHS = (7, 9, 6, 8, 5, 10)
TOP, WRIST = "observation.images.top", "observation.images.wrist"
TASKS = {0: "put the banana on the plate", 3: "pick up the cup"}  # numbers with a gap
TOLERANCE = 3  # of 255, through H.264
ENDS = {"test_seed": 30}  # holds episodes 0 and 5 of the six out


def grey(n: int, camera: str = TOP) -> int:
    return 10 + 7 * (n % 33) if camera == TOP else 240 - 7 * (n % 33)


def write_video(file: Path, levels, size=(32, 24), fps=10) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"qp": "0"})
        (stream.width, stream.height), stream.pix_fmt, stream.time_base = (
            size,
            "yuv420p",
            Fraction(1, fps),
        )
        for level in levels:
            picture = np.full((size[1], size[0], 3), level, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


def png(level, size=(32, 24)) -> dict:
    stream = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": f"frame_{level}.png"}


def write_set(
    folder: Path,
    version="v2.1",
    lengths=LENGTHS,
    cameras=(TOP, WRIST),
    kind="video",
    task_column="task",
    names=None,
    keys=("observation.state", "action"),
) -> Path:
    """A data set of random numbers. v3.0 puts three episodes in a table and two in a video file."""
    rng = np.random.default_rng(0)
    total = sum(lengths)
    state, action = (
        rng.normal(size=(total, 3)).astype(np.float32),
        rng.normal(2, 5, size=(total, 2)).astype(np.float32),
    )
    features = {
        keys[0]: {"dtype": "float32", "shape": [3], "names": names or ["x", "y", "z"]},
        keys[1]: {"dtype": "float32", "shape": [2], "names": {"motors": ["arm", "gripper"]}},
        **{
            camera: {"dtype": kind, "shape": [24, 32, 3], "names": ["height", "width", "channel"]}
            for camera in cameras
        },
    }
    old = version != "v3.0"
    info = {
        "codebase_version": version,
        "fps": 10,
        "total_episodes": len(lengths),
        "total_frames": total,
        "chunks_size": 4,
        "features": features,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        if old
        else "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
        if old
        else "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }
    tables, episodes, start = [], [], 0
    for index, length in enumerate(lengths):
        rows = range(start, start + length)
        table = {
            keys[0]: pa.FixedSizeListArray.from_arrays(state[rows].ravel(), 3)
            if old
            else pa.array(state[rows].tolist()),
            keys[1]: pa.array(action[rows].astype(np.float64).tolist()),
            "timestamp": np.arange(length) * 0.13 + 5,  # wall clock that drifts: never to be used
            "frame_index": np.arange(length),
            "episode_index": np.full(length, index),
            "index": np.arange(start, start + length),
            "task_index": np.full(length, 3 if index == 1 else 0),
        }
        if kind == "image":
            table |= {camera: pa.array([png(grey(n, camera)) for n in rows]) for camera in cameras}
        tables.append(pa.table(table))
        episodes.append(
            {"episode_index": index, "tasks": [TASKS[3 if index == 1 else 0]], "length": length}
        )
        start += length
    starts = np.cumsum([0, *lengths])

    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    if old:
        (folder / "meta" / "episodes.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in episodes)
        )
        (folder / "meta" / "tasks.jsonl").write_text(
            "".join(json.dumps({"task_index": k, "task": text}) + "\n" for k, text in TASKS.items())
        )
    for index in range(len(lengths)):
        place = (
            {"episode_index": index, "episode_chunk": index // 4}
            if old
            else {"chunk_index": 0, "file_index": index // 3}
        )
        file = folder / info["data_path"].format(**place)
        file.parent.mkdir(parents=True, exist_ok=True)
        if old:
            pq.write_table(tables[index], file)
        elif index % 3 == 0:
            pq.write_table(pa.concat_tables(tables[index : index + 3]), file)
        if not old:
            episodes[index] |= {
                "data/chunk_index": 0,
                "data/file_index": index // 3,
                "stats/action/mean": [0.0],
            }
        for camera in cameras if kind == "video" else ():
            if old:
                write_video(
                    folder / info["video_path"].format(video_key=camera, **place),
                    [grey(n, camera) for n in range(*starts[index : index + 2])],
                )
                continue
            first, last = (
                starts[index - index % 2],
                starts[min(index - index % 2 + 2, len(lengths))],
            )
            if index % 2 == 0:
                file = folder / info["video_path"].format(
                    video_key=camera, chunk_index=0, file_index=index // 2
                )
                write_video(file, [grey(n, camera) for n in range(first, last)])
            offset = (starts[index] - first) / 10 + 1e-4  # as inexact as sums of durations are
            episodes[index] |= {
                f"videos/{camera}/chunk_index": 0,
                f"videos/{camera}/file_index": index // 2,
                f"videos/{camera}/from_timestamp": offset,
            }
    if not old:
        (folder / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
        for part, rows in enumerate(
            (episodes[:4], episodes[4:])
        ):  # the list itself may be split too
            if rows:
                pq.write_table(
                    pa.Table.from_pylist(rows),
                    folder / "meta" / "episodes" / "chunk-000" / f"file-{part:03d}.parquet",
                )
        tasks = pa.table({"task_index": list(TASKS), task_column: list(TASKS.values())})
        pq.write_table(tasks, folder / "meta" / "tasks.parquet")
    return folder


def edit_info(folder: Path, **changes) -> None:
    file = folder / "meta" / "info.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_table(file: Path, **columns) -> None:
    table = pq.read_table(file)
    for name, values in columns.items():
        table = table.set_column(
            table.column_names.index(name.replace("__", ".")),
            name.replace("__", "."),
            pa.array(values),
        )
    pq.write_table(table, file)


def episode_file(folder: Path, index: int) -> Path:
    return folder / "data" / f"chunk-{index // 4:03d}" / f"episode_{index:06d}.parquet"


def video_file(folder: Path, index: int, camera=TOP) -> Path:
    return folder / "videos" / f"chunk-{index // 4:03d}" / camera / f"episode_{index:06d}.mp4"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


@pytest.fixture
def v21(tmp_path) -> Path:
    return write_set(tmp_path / "set")


@pytest.mark.parametrize(
    "version, kind",
    [("v2.0", "video"), ("v2.1", "video"), ("v2.1", "image"), ("v3.0", "video"), ("v3.0", "image")],
)
def test_every_frame_is_where_it_belongs(tmp_path, version, kind):
    items = data.load(
        write_set(tmp_path / "set", version, kind=kind), horizon=4, image_size=32, split="all"
    )
    assert len(items) == sum(LENGTHS) and items.episodes == list(range(6)) and items.fps == 10
    assert items.cameras == [TOP, WRIST]
    observation, actions, mask = items.batch(range(len(items)))
    assert (
        observation.images.shape == (45, 2, 3, 32, 32)
        and observation.image_mask.shape == (45, 2)
        and observation.image_mask.all()
    )
    levels = (
        observation.images[:, :, :, 4:28] + 1
    ) * 127.5  # (B, C, 3, 24, 32): the picture without its black bars
    expected = torch.tensor([[grey(n, camera) for camera in (TOP, WRIST)] for n in range(45)])
    assert (levels - expected[:, :, None, None, None]).abs().max() <= (
        0.01 if kind == "image" else TOLERANCE
    )
    assert (observation.images[:, :, :, :4] == -1).all() and (
        observation.images[:, :, :, 28:] == -1
    ).all()
    assert observation.images.abs().max() <= 1
    assert items.episode_index.tolist() == [
        e for e, length in enumerate(LENGTHS) for _ in range(length)
    ]
    assert items.frame_index.tolist() == [k for length in LENGTHS for k in range(length)]
    assert items.tasks == [TASKS[3 if e == 1 else 0] for e in items.episode_index]


def test_both_versions_give_the_same_batches(tmp_path):
    old = data.load(write_set(tmp_path / "old"), 4, split="all").batch(range(45))
    new = data.load(
        write_set(tmp_path / "new", "v3.0", task_column="__index_level_0__"), 4, split="all"
    ).batch(range(45))
    for a, b in (
        (old[1], new[1]),
        (old[2], new[2]),
        (old[0].state, new[0].state),
        (old[0].tokens, new[0].tokens),
    ):
        assert torch.equal(a, b)
    assert (old[0].images - new[0].images).abs().max() <= 2 * TOLERANCE / 127.5


@pytest.mark.parametrize("horizon", [1, 4, 12])
def test_chunks_end_with_their_episode(v21, horizon):
    items = data.load(
        v21, horizon, cameras=[], split="test", **ENDS
    )  # episodes 0 and 5: 7 + 10 frames
    assert len(items) == 17
    _, actions, mask = items.batch(range(17))
    assert (
        actions.shape == (17, horizon, 2)
        and mask.shape == (17, horizon)
        and mask.dtype == torch.bool
    )
    raw = lerobot.read(v21)
    for i in range(17):
        begin, end = (0, 7) if i < 7 else (35, 45)
        row = begin + i - (0 if i < 7 else 7)
        for h in range(horizon):
            expected = torch.from_numpy(raw.actions[min(row + h, end - 1)])
            torch.testing.assert_close(items.normaliser["action"].to_robot(actions[i, h]), expected)
            assert mask[i, h] == (row + h < end)
    one = items[3]
    assert (
        torch.equal(one[1], actions[3])
        and torch.equal(one[2], mask[3])
        and one[0].state.shape == (3,)
    )
    assert torch.equal(items[-1][1], actions[16])


def test_statistics_are_those_of_the_training_episodes(v21):
    train, test, both = (
        data.load(v21, 2, cameras=[], split=split, **ENDS) for split in ("train", "test", "all")
    )
    raw = lerobot.read(v21)
    training = np.r_[7:35]  # episodes 1 to 4
    for name, values in (("state", raw.state), ("action", raw.actions)):
        np.testing.assert_allclose(
            train.stats[f"{name}_mean"], values[training].mean(0), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(train.stats[f"{name}_std"], values[training].std(0), rtol=1e-5)
    for other in (test, both):
        assert all(torch.equal(other.stats[name], value) for name, value in train.stats.items())
    observation, actions, _ = train.batch(range(len(train)))
    assert (
        observation.state.mean(0).abs().max() < 1e-5
        and (observation.state.std(0, correction=0) - 1).abs().max() < 1e-5
    )
    assert actions[:, 0].mean(0).abs().max() < 1e-5
    action = train.normaliser["action"]
    assert torch.equal(train.normaliser["state"].to_model(train.state), observation.state)
    torch.testing.assert_close(action.to_robot(action.to_model(train.actions)), train.actions)
    assert action.to_robot(actions.double()).dtype == torch.float64


def test_split_by_episode(v21):
    def load(**options):
        return data.load(v21, 2, cameras=[], **options).episodes

    assert load(**ENDS) == [1, 2, 3, 4] and load(split="test", **ENDS) == [0, 5]
    assert load(split="all") == load(test_every=None) == [0, 1, 2, 3, 4, 5]
    assert sorted(load(test_every=2) + load(split="test", test_every=2)) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="no test episode.*test_every=None"):
        load(split="test", test_every=None)
    with pytest.raises(ValueError, match="no train episode.*test_every=1"):
        load(split="all", test_every=1)


def test_batches_are_one_shuffled_epoch(v21):
    def order(items, generator=None):
        return [
            row
            for observation, _, _ in items.batches(8, generator)
            for row in observation.state.tolist()
        ]

    items = data.load(v21, 2, cameras=[], **ENDS)
    sizes = [len(actions) for _, actions, _ in items.batches(8)]
    assert sizes == [8, 8, 8, 4]
    first, second = (
        order(items, torch.Generator().manual_seed(1)),
        order(items, torch.Generator().manual_seed(1)),
    )
    assert (
        first == second
        and sorted(first) == sorted(items.normal_state.tolist())
        and first != items.normal_state.tolist()
    )
    a, b, c = (data.load(v21, 2, cameras=[], seed=seed) for seed in (3, 3, 4))
    epochs = order(a), order(a)
    assert epochs == (order(b), order(b)) and epochs[0] != epochs[1] and epochs[0] != order(c)
    with pytest.raises(ValueError, match="at least 1 item"):
        items.batches(0)


def test_batch_takes_any_integers_and_refuses_others(v21):
    items = data.load(v21, 2, cameras=["top"], image_size=8, **ENDS)
    for indices in ([2, 0, 27], np.array([2, 0, 27]), torch.tensor([2, 0, 27])):
        assert torch.equal(items.batch(indices)[1], torch.stack([items[i][1] for i in (2, 0, 27)]))
    assert items.batch([])[0].images.shape == (0, 1, 3, 8, 8)
    for wrong in (28, -29):
        with pytest.raises(IndexError, match="0 … 27"):
            items[wrong]
    for wrong in (
        items.episode_index == 2,
        [0.5],
        [[1, 2]],
        3,
    ):  # a mask would be read as items 0 and 1
        with pytest.raises(IndexError, match="a list of integers"):
            items.batch(wrong)


def test_prompts(v21):
    items = data.load(v21, 2, cameras=[], split="all")
    observation = items.batch([0, 8])[0]
    tokens, mask = prompt.tokenize([TASKS[0], TASKS[3]], 48)
    assert torch.equal(observation.tokens, tokens) and torch.equal(observation.token_mask, mask)
    assert data.load(v21, 2, cameras=[], prompt_length=None).batch([0])[0].tokens.shape == (
        1,
        29,
    )  # of the longest, in train or not
    text = "take the thing that is nearest to the edge of the table and move it"
    (v21 / "meta" / "tasks.jsonl").write_text(
        "".join(json.dumps({"task_index": k, "task": text}) + "\n" for k in TASKS)
    )
    assert data.load(v21, 2, cameras=[])[0][0].token_mask.sum() == len(text) + 2  # never cut


def test_cameras_can_be_chosen_or_left_out(v21, monkeypatch):
    both = data.load(v21, 2, cameras=["wrist", TOP], image_size=16)
    assert both.cameras == [WRIST, TOP]
    one = data.load(v21, 2, cameras=[WRIST], image_size=16)
    assert torch.equal(both[5][0].images[0], one[5][0].images[0])
    for file in v21.glob("videos/**/*.mp4"):
        file.unlink()
    monkeypatch.setattr(frames, "_build", lambda *_: pytest.fail("no frame is needed"))
    none = data.load(v21, 2, cameras=[], image_size=16)
    assert none[0][0].images.shape == (0, 3, 16, 16) and none.batch([0, 1])[0].image_mask.shape == (
        2,
        0,
    )
    with pytest.raises(ValueError, match=f"'front' is unknown.*{TOP}, {WRIST}"):
        data.load(v21, 2, cameras=["front"])
    with pytest.raises(ValueError, match="a list of names"):
        data.load(v21, 2, cameras="top")


@pytest.mark.parametrize(
    "names, expected",
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        ([["a", "b"], ["c"]], ["a", "b", "c"]),
        ({"motors": ["a", "b"], "more": [["c"]]}, ["a", "b", "c"]),
        ({"b": 1, "a": 0, "c": 2}, ["a", "b", "c"]),
        (None, ["k[0]", "k[1]", "k[2]"]),
        (["only one"], ["k[0]", "k[1]", "k[2]"]),
        ({}, ["k[0]", "k[1]", "k[2]"]),
    ],
)
def test_names_come_in_many_shapes(names, expected):
    assert features.flat_names(names, 3, "k") == expected


def test_names_and_keys_of_a_set(tmp_path):
    items = data.load(
        write_set(tmp_path / "set", "v2.0", names=[["x", "y"], ["z"]], keys=("state", "actions")),
        2,
        cameras=[],
    )
    assert items.state_names == ["x", "y", "z"] and items.action_names == ["arm", "gripper"]
    swapped = data.load(tmp_path / "set", 2, cameras=[], state_key="actions", action_key="state")
    assert torch.equal(swapped.actions, items.state)
    with pytest.raises(
        ValueError, match="no feature velocity; choose one with action_key=: state, actions"
    ):
        data.load(tmp_path / "set", 2, action_key="velocity")


def test_lists_in_lists_and_plain_numbers_are_vectors_too(v21):
    for index, length in enumerate(LENGTHS):
        edit_table(
            episode_file(v21, index),
            observation__state=[[[k, 1.0], [2.0, k]] for k in range(length)],
            action=[float(k) for k in range(length)],
        )
    info = json.loads((v21 / "meta" / "info.json").read_text())["features"]
    info["observation.state"] |= {"shape": [2, 2]}
    info["action"] |= {"shape": [1]}
    edit_info(v21, features=info)
    with pytest.warns(
        UserWarning, match=r"unscaled: observation.state\[1\], observation.state\[2\]"
    ):
        items = data.load(v21, 2, cameras=[], **ENDS)
    assert (
        items.state.shape == (28, 4)
        and items.state[3].tolist() == [3, 1, 2, 3]
        and items.actions.shape == (28, 1)
    )


def test_numbers_in_other_clothes(v21):
    """Tensor columns, indices as lists of one, lengths as 7.0: seen in converted sets, and clear
    enough.
    """
    raw = lerobot.read(v21)
    for index, length in enumerate(LENGTHS):
        table = pq.read_table(episode_file(v21, index))
        states = np.array(table["observation.state"].to_pylist(), np.float32)
        table = table.set_column(
            0, "observation.state", pa.FixedShapeTensorArray.from_numpy_ndarray(states)
        )
        pq.write_table(table, episode_file(v21, index))
        edit_table(episode_file(v21, index), frame_index=[[k] for k in range(length)])
    listing = v21 / "meta" / "episodes.jsonl"
    listing.write_text(listing.read_text().replace('"length": 7', '"length": 7.0'))
    again = lerobot.read(v21)
    assert np.array_equal(again.state, raw.state) and [e.length for e in again.episodes] == list(
        LENGTHS
    )


def test_constant_dimensions_come_out_zero_with_a_warning(v21):
    for index, length in enumerate(LENGTHS):
        edit_table(episode_file(v21, index), action=[[0.3, k] for k in range(length)])
    with pytest.warns(UserWarning, match="action never changes in the training episodes.*: arm$"):
        items = data.load(v21, 2, cameras=[], **ENDS)
    assert (items.batch(range(28))[1][..., 0] == 0).all() and items.stats["action_std"][0] == 1


# Frames and their cache


@pytest.mark.parametrize(
    "width, height, bars",
    [(40, 20, (16, 0)), (20, 40, (0, 16)), (8, 8, (0, 0)), (640, 1, (31, 0)), (33, 31, (2, 0))],
)
def test_resize_with_pad_keeps_the_whole_image(width, height, bars):
    square = pictures.resize_with_pad(Image.new("RGB", (width, height), (255, 255, 255)), 64)
    assert square.shape == (3, 64, 64) and square.dtype == np.uint8
    rows, columns = (square[0] == 255).any(axis=1), (square[0] == 255).any(axis=0)
    assert set(np.unique(square)) <= {0, 255}
    assert np.flatnonzero(rows)[0] == bars[0] and np.flatnonzero(columns)[0] == bars[1]
    assert (
        abs(rows.sum() - max(1, 64 * height / max(width, height))) <= 1
        and abs(columns.sum() - 64 * width / max(width, height)) <= 1
    )


def test_shrinking_averages():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255  # taking every eighth pixel would give black or white
    assert (
        np.abs(pictures.resize_with_pad(Image.fromarray(stripes), 8).astype(int) - 127).max() <= 6
    )


def test_video_colours_and_orientation(tmp_path):
    """Top left red, bottom right blue, the rest grey: neither channels nor axes are swapped.

    At the borders the video's own half resolution of colours shows, for one pixel (packed RGB from
    the decoder's scaler would smear it over more).
    """
    picture = np.full((48, 64, 3), 128, np.uint8)
    picture[:24, :32], picture[24:, 32:] = (255, 0, 0), (0, 0, 255)
    with av.open(str(tmp_path / "v.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    ((square, time),) = decoders.video(tmp_path / "v.mp4", 16, threads=1)
    assert time == 0
    expected = pictures.resize_with_pad(Image.fromarray(picture), 16)
    away = np.r_[:7, 9:16]
    assert (
        np.abs(square.astype(int) - expected)[:, away][:, :, away].max() <= 3
        and np.abs(square.astype(int) - expected).max() <= 40
    )
    assert square[:, 3, 0].argmax() == 0 and square[:, 12, 15].argmax() == 2


def test_frames_are_decoded_once(v21, cache, monkeypatch):
    first = data.load(v21, 2, cameras=["top"], **ENDS)[0][0].images
    (file,) = cache.iterdir()
    assert file.suffix == ".npy"
    with monkeypatch.context() as patch:
        patch.setattr(frames, "_build", lambda *_, **__: pytest.fail("decoded again"))
        again = data.load(
            v21, 5, cameras=["top"], split="all"
        )  # another horizon, another split: the same frames
        assert torch.equal(again[7][0].images, first) and isinstance(again.pictures[0], np.memmap)
    data.load(v21, 2, cameras=["top"], image_size=16)
    assert len(list(cache.iterdir())) == 2


def test_changed_content_is_decoded_again(v21, cache):
    before = data.load(v21, 2, cameras=["top"], **ENDS)[0][0].images
    stamp = video_file(v21, 1).stat()
    write_video(video_file(v21, 1), [255] * LENGTHS[1])
    os.utime(
        video_file(v21, 1), ns=(stamp.st_atime_ns, stamp.st_mtime_ns)
    )  # the content counts, not the date
    after = data.load(v21, 2, cameras=["top"], **ENDS)[0][0].images
    assert after.max() > 0.9 > before.max()


def test_a_half_written_cache_is_never_used(v21, cache, monkeypatch):
    whole = data.load(v21, 2, cameras=["top"]).pictures[0].copy()
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-1000])
    assert np.array_equal(data.load(v21, 2, cameras=["top"]).pictures[0], whole)
    np.save(file, np.zeros((2, 3, 64, 64), np.uint8))
    assert np.array_equal(data.load(v21, 2, cameras=["top"]).pictures[0], whole)
    file.unlink()
    written = []

    def stops(file, *rest):
        written.append(file)
        if len(written) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(frames, "_decode_file", stops)
        with pytest.raises(KeyboardInterrupt):
            data.load(v21, 2, cameras=["top"])
    assert not list(cache.iterdir())
    assert np.array_equal(data.load(v21, 2, cameras=["top"]).pictures[0], whole)


def test_several_at_once_all_end_up_right(v21, cache):
    recording, results, barrier = lerobot.read(v21), [], threading.Barrier(3)

    def build():
        barrier.wait()
        results.extend(frames.decode([frames.find(recording, TOP, 16)]))

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and all(np.array_equal(result, results[0]) for result in results)
    assert (
        abs(int(results[0][44, 0, 8, 8]) - grey(44)) <= TOLERANCE
        and len(list(cache.iterdir())) == 1
    )


def test_cache_folder_follows_the_platform(monkeypatch, tmp_path):
    assert sources.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("MINIPI0_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert sources.cache_folder() == tmp_path / "xdg" / "minipi0"
    monkeypatch.setattr("sys.platform", "darwin")
    assert sources.cache_folder() == Path.home() / "Library" / "Caches" / "minipi0"


def test_a_cache_folder_that_cannot_be_written(v21, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        OSError,
        match="decoded frames cannot be kept in .*set MINIPI0_CACHE to a folder to write to",
    ):
        data.load(v21, 2)


def test_a_full_disk_is_noticed_before_decoding(v21, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match="set MINIPI0_CACHE to a larger disk"):
        data.load(v21, 2)


# What is wrong with a data set is said


def test_missing_video(v21):
    video_file(v21, 2, WRIST).unlink()
    assert data.load(v21, 2, cameras=["top"])
    with pytest.raises(
        FileNotFoundError,
        match=r"wrist.episode_000002.mp4 is missing.*cameras=\['observation.images.top'\]",
    ):
        data.load(v21, 2)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.9])
def test_truncated_video(v21, cache, keep):
    file = video_file(v21, 2)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match="episode_000002.mp4"):
        data.load(v21, 2)
    assert not [name for name in cache.iterdir() if TOP in name.name]


def test_a_video_that_is_cut_off_while_it_plays(tmp_path):
    """With the index in front (faststart) a truncated file still opens."""
    folder = write_set(tmp_path / "set", cameras=(TOP,))
    file = video_file(folder, 3)
    rng = np.random.default_rng(0)
    with av.open(str(file), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(LENGTHS[3]):
            out.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(
                        rng.integers(0, 256, (48, 64, 3), np.uint8), format="rgb24"
                    )
                )
            )
        out.mux(stream.encode())
    assert data.load(folder, 2, image_size=16)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(ValueError, match="episode_000003.mp4"):
        data.load(folder, 2, image_size=16)


def test_video_with_too_few_frames(v21):
    write_video(video_file(v21, 4), range(4))
    with pytest.raises(
        ValueError, match="episode_000004.mp4: expected 5 frames as the tables say, found 4"
    ):
        data.load(v21, 2)


def test_video_with_too_many_frames(v21):
    """Frames after the last row are left out, visibly; unless the video's clock says that it runs
    at another rate.
    """
    write_video(video_file(v21, 4), [*range(100, 150, 10), 255, 255])
    with pytest.warns(
        UserWarning,
        match="1 files hold more frames than rows.*episode_000004.mp4: 7 frames for 5 rows",
    ):
        items = data.load(v21, 2, cameras=["top"], image_size=16)
    seen = (
        items.batch((items.episode_index == 4).nonzero().flatten())[0].images[:, 0, 0, 8, 8] + 1
    ) * 127.5
    assert (seen - torch.arange(100, 150, 10)).abs().max() <= TOLERANCE
    write_video(video_file(v21, 4), range(100, 200, 10), fps=20)
    late = "frame 2 is shown at 0.100 s, due is the one at 0.200 s"
    with pytest.raises(ValueError, match=f"10 frames for 5 rows at 10 a second, but {late}"):
        data.load(v21, 2, cameras=["top"], image_size=16)
    write_video(
        video_file(v21, 4), range(100, 150, 10), fps=20
    )  # a frame for each row: the clock does not matter
    assert data.load(v21, 2, cameras=["top"], image_size=16)


def test_shared_video_that_is_too_short_or_claimed_twice(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0", cameras=(TOP,))
    file = folder / "videos" / TOP / "chunk-000" / "file-001.mp4"
    write_video(file, range(13))
    with pytest.raises(
        ValueError, match="file-001.mp4: expected 14 frames as the tables say, found 13"
    ):
        data.load(folder, 2)
    write_video(file, range(17))  # frames of a deleted episode at the end
    assert data.load(folder, 2)
    listing = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    offsets = pq.read_table(listing)[f"videos/{TOP}/from_timestamp"].to_pylist()
    edit_table(listing, **{f"videos/{TOP}/from_timestamp".replace(".", "__"): [*offsets[:3], 0.4]})
    with pytest.raises(
        ValueError, match="file-001.mp4: the metadata give the same frame to two episodes"
    ):
        data.load(folder, 2)


@pytest.mark.parametrize(
    "offset, message",
    [
        (-0.2, "in episode 1 is -0.2: write the second"),
        (float("nan"), "in episode 1 is nan: write the second"),
    ],
)
def test_impossible_time_stamps(tmp_path, offset, message):
    folder = write_set(tmp_path / "set", "v3.0", cameras=(TOP,))
    listing = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    edit_table(
        listing, **{f"videos/{TOP}/from_timestamp".replace(".", "__"): [0.0, offset, 0.0, 0.6]}
    )
    with pytest.raises(ValueError, match=message):
        data.load(folder, 2)


def test_a_shared_video_at_another_rate(tmp_path):
    """In v3.0 time stamps find the frames, so the video's own clock must agree with the rate that
    the metadata tell.
    """
    folder = write_set(tmp_path / "set", "v3.0", cameras=(TOP,))
    write_video(folder / "videos" / TOP / "chunk-000" / "file-001.mp4", range(14), fps=20)
    late = "frame 2 is shown at 0.100 s, due is the one at 0.200"
    with pytest.raises(ValueError, match=f"14 frames for 14 rows at 10 a second, but {late}"):
        data.load(folder, 2)


def test_depth_maps_are_not_pictures(tmp_path):
    """PIL would turn every 16-bit value above 255 into white."""
    folder = write_set(tmp_path / "set", kind="image", cameras=(TOP, WRIST))
    stream = io.BytesIO()
    Image.fromarray(np.full((24, 32), 3000, np.uint16)).save(stream, "PNG")
    edit_table(
        episode_file(folder, 4),
        observation__images__wrist=[{"bytes": stream.getvalue(), "path": "d.png"}] * 5,
    )
    with pytest.raises(
        ValueError,
        match="episode_000004.parquet.*I;16, .* which is a depth map.*cameras=",
    ):
        data.load(folder, 2)
    assert data.load(folder, 2, cameras=["top"])


def test_a_camera_whose_name_begins_like_anothers(tmp_path):
    longer = f"{TOP}.left"  # first in the file, and parquet's column paths have dots, too
    folder = write_set(tmp_path / "set", kind="image", cameras=(longer, TOP))
    items = data.load(folder, 2, cameras=[TOP], image_size=8, split="all")
    assert (items[3][0].images[0, 0, 4, 4] + 1) * 127.5 == pytest.approx(grey(3), abs=0.01)
    for file in folder.glob("data/**/*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(TOP), file)
    with pytest.raises(ValueError, match=f"it has no column '{TOP}'"):
        data.load(folder, 2, cameras=[TOP], image_size=9)


def test_broken_image_in_a_table(tmp_path):
    folder = write_set(tmp_path / "set", kind="image", cameras=(TOP,))
    good = png(5)
    for bad in (
        {"bytes": b"not a picture", "path": "p"},
        {"bytes": good["bytes"][:60], "path": "p"},
        {"bytes": None, "path": "elsewhere.png"},
    ):
        edit_table(episode_file(folder, 4), observation__images__top=[good, good, bad, good, good])
        with pytest.raises(
            ValueError,
            match="episode_000004.parquet(: a row .* no image| cannot be decoded at frame 2)",
        ):
            data.load(folder, 2)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_truncated_or_missing_table(tmp_path, version):
    folder = write_set(tmp_path / "set", version)
    file = sorted((folder / "data").glob("**/*.parquet"))[1]
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ValueError, match=f"{file.name} cannot be read, perhaps it is truncated"):
        data.load(folder, 2)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"{file.name} is missing"):
        data.load(folder, 2)


@pytest.mark.parametrize(
    "columns, message",
    [
        (
            {"action": [[1.0, 2.0, 3.0]] * 6},
            r"'action' has shape \[3\] in the table, but info.json declares \[2\]",
        ),
        (
            {"action": [1.0] * 6},
            r"'action' has shape \[1\] in the table, but info.json declares \[2\]",
        ),
        (
            {"action": [[1.0, 2.0]] * 5 + [[1.0]]},
            r"'action' has rows of different or missing lengths \[1, 2\]",
        ),
        (
            {"action": [[1.0, 2.0]] * 5 + [None]},
            r"'action' has rows of different or missing lengths",
        ),
        ({"action": [["a", "b"]] * 6}, "'action' holds string, not numbers"),
        (
            {"action": [[1.0, 2.0]] * 4 + [[0.0, float("nan")]] * 2},
            "'action' is nan as float32 in episode 2, frame 4, dimension 1",
        ),
        (
            {"action": [[1.0, 2.0]] * 5 + [[None, 1.0]]},
            "'action' is nan as float32 in episode 2, frame 5, dimension 0",
        ),
        (
            {"observation__state": [[1.0, float("inf"), 0.0]] * 6},
            "'observation.state' is inf as float32 in episode 2, frame 0, dim",
        ),
        (
            {"action": [[1e300, 0.0]] * 6},
            "'action' is inf as float32 in episode 2, frame 0, dimension 0: "
            "repair or remove that episode",
        ),
        ({"task_index": [0, 0, 0, None, 0, 0]}, "'task_index' has empty cells"),
        (
            {"task_index": [0, 0, 0, 1, 0, 0]},
            r"task_index 1 in episode 2, but .* lists only \[0, 3\]",
        ),
        ({"frame_index": [0, 1, 2, 3, 5, 4]}, "frames of episode 2 are not numbered 0 … 5"),
        (
            {"episode_index": [2, 2, 2, 2, 2, 3]},
            "expected 6 rows of episode 2 as the metadata say, found 5",
        ),
        ({"episode_index": [3] * 6}, "expected 6 rows of episode 2 as the metadata say, found 0"),
    ],
)
def test_wrong_tables(v21, columns, message):
    edit_table(episode_file(v21, 2), **columns)
    with pytest.raises(ValueError, match=f"episode_000002.parquet.*{message}"):
        data.load(v21, 2)


def test_missing_column(v21):
    file = episode_file(v21, 0)
    pq.write_table(pq.read_table(file).drop_columns("action"), file)
    with pytest.raises(ValueError, match="episode_000000.parquet.*column 'action'"):
        data.load(v21, 2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fps": 0}, "fps is 0: write the rate there"),
        (
            {"codebase_version": "v1.6"},
            "version 'v1.6' is unknown; v2.0, v2.1 and v3.0 can be read",
        ),
        ({"total_episodes": 7}, "counts 7 episodes, the list of episodes has 6"),
        ({"features": {}}, "no feature observation.state or .*it declares no numbers"),
        ({"features": None}, "info.json: features is None, not {name: "),
        ({"data_path": 3}, "data_path is 3, which is no text"),
        (
            {"data_path": "data/{nonsense}"},
            "info.json: data_path is .*nonsense} is unknown: write one of chunk",
        ),
    ],
)
def test_wrong_metadata(v21, changes, message):
    edit_info(v21, **changes)
    with pytest.raises(ValueError, match=message):
        data.load(v21, 2)


def test_missing_or_broken_metadata(tmp_path):
    folder = write_set(tmp_path / "set", cameras=())
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no LeRobot data set: it has no meta/info.json"):
        data.load(tmp_path / "empty", 2)
    episodes = folder / "meta" / "episodes.jsonl"
    lines = episodes.read_text()
    for content, message in (
        (lines[:-20], "perhaps it is truncated"),
        (
            '{"episode_index": 0}\n',
            "episodes.jsonl has no 'length', which a LeRobot data set has there: add it",
        ),
        ("", "lists no episode"),
        (
            "".join(lines.splitlines(True)[k] for k in (0, 1, 2, 3, 4, 2)),
            "has episode 2 more than once",
        ),
    ):
        episodes.write_text(content)
        with pytest.raises(ValueError, match=message):
            data.load(folder, 2)
    episodes.unlink()
    with pytest.raises(FileNotFoundError, match="episodes.jsonl is missing"):
        data.load(folder, 2)
    episodes.write_text(lines)
    (folder / "meta" / "tasks.jsonl").write_text('{"task_index": 0, "task": null}\n')
    with pytest.raises(ValueError, match="tasks.jsonl: the text of task 0 is None"):
        data.load(folder, 2)
    (folder / "meta" / "info.json").write_text("{")
    with pytest.raises(ValueError, match="info.json cannot be read"):
        data.load(folder, 2)


def test_scattered_episode(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0", cameras=())
    file = folder / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(file)  # episodes 0 to 2, 7 + 9 + 6 rows
    pq.write_table(table.take([0, 7, *range(1, 7), *range(8, 22)]), file)
    with pytest.raises(
        ValueError,
        match="expected 7 rows of episode 0 as the metadata say, found 7 or others between them",
    ):
        data.load(folder, 2)
    pq.write_table(
        table.take([*range(7, 22), *range(7)]), file
    )  # in another order, but each in one piece
    assert data.load(folder, 2, split="all").frame_index[:8].tolist() == [*range(7), 0]


def test_v3_metadata(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0", cameras=(), task_column="words")
    with pytest.raises(
        ValueError, match="tasks.parquet: expected task_index and the text.*'words'"
    ):
        data.load(folder, 2)
    file = folder / "meta" / "tasks.parquet"
    as_index = {
        "pandas": json.dumps({"index_columns": ["words"], "columns": [], "column_indexes": []})
    }
    pq.write_table(
        pq.read_table(file).replace_schema_metadata(as_index), file
    )  # an index of any name
    assert data.load(folder, 2).task_texts == list(TASKS.values())
    for file in (folder / "meta" / "episodes").glob("**/*.parquet"):
        file.unlink()
    with pytest.raises(FileNotFoundError, match="no parquet file in meta/episodes"):
        data.load(folder, 2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"split": "val"}, "split is one of .*not 'val'"),
        ({"image_size": 0}, "image_size must be at least 1"),
        ({"test_every": 0}, "test_every must be at least 1"),
    ],
)
def test_arguments_out_of_range(v21, options, message):
    with pytest.raises(ValueError, match=message):
        data.load(v21, **{"horizon": 2} | options)


# Real recordings

REAL = Path(os.environ.get("MINIPI0_DATA", "nonexistent"))


@pytest.mark.skipif(
    not (REAL / "cr5_three_v30").is_dir(),
    reason="MINIPI0_DATA does not hold cr5_three_v21 and cr5_three_v30",
)
def test_real_versions_agree():
    old, new = (
        data.load(REAL / name, 16, image_size=32, split="all")
        for name in ("cr5_three_v21", "cr5_three_v30")
    )
    assert len(old) == len(new) == 573 and old.cameras == new.cameras == ["observation.images.top"]
    (seen, actions, mask), (seen2, actions2, mask2) = old.batch(range(573)), new.batch(range(573))
    assert torch.equal(actions, actions2) and torch.equal(mask, mask2)
    assert torch.equal(seen.state, seen2.state) and torch.equal(seen.tokens, seen2.tokens)
    assert torch.equal(seen.images, seen2.images)  # the converter copies the encoded frames
    assert mask.sum() == 573 * 16 - 3 * 120  # 15 + 14 + ... + 1 padded steps an episode


@pytest.mark.skipif(
    not (REAL / "cr5_banana").is_dir(), reason="MINIPI0_DATA does not hold cr5_banana"
)
def test_real_arm():
    train, test = (
        data.load("cr5-banana", 16, cameras=[], split=split) for split in ("train", "test")
    )
    assert (len(train.episodes), len(test.episodes), len(train) + len(test)) == (64, 17, 18039)
    assert test.episodes == list(range(0, 81, 5)) and train.fps == 10
    assert train.action_names[-1] == "gripper" and set(train.actions[:, -1].tolist()) == {0.0, 1.0}
    assert train.tasks[0] == "put the banana on the plate" and train[0][0].images.shape == (
        0,
        3,
        64,
        64,
    )


def test_other_normalisations(v21):
    by = {
        mode: data.load(v21, horizon=4, cameras=[], normalise=mode)
        for mode in ("z-score", "min-max")
    }
    assert set(by["min-max"].stats) == {"state_min", "state_max", "action_min", "action_max"}
    actions = by["min-max"].batch(range(len(by["min-max"])))[1]
    assert actions.min() == -1 and actions.max() == 1
    raw = [one.normaliser["action"].to_robot(one.batch([3])[1]) for one in by.values()]
    torch.testing.assert_close(*raw)
    with pytest.raises(ValueError, match="normalise is one of"):
        data.load(v21, horizon=4, cameras=[], normalise="mean")


def test_a_subset_is_some_episodes_with_the_statistics_of_all():
    whole = data.load("metaworld-two-ways", horizon=4, cameras=[])
    chosen = [whole.episodes[3], whole.episodes[1]]
    some = data.Subset(whole, chosen)
    assert set(some.episode_index.tolist()) == set(chosen)
    assert len(some) == sum((whole.episode_index == e).sum().item() for e in chosen)
    _, actions, _ = some.batch(torch.tensor([0, len(some) - 1]))
    _, expected, _ = whole.batch(some.kept[[0, -1]])
    assert torch.equal(actions, expected) and some.stats.keys() == whole.stats.keys()
    assert some.about() == whole.about()
    with pytest.raises(ValueError, match="no episode 10000"):
        data.Subset(whole, [10_000])
