"""What the writer writes is what LeRobot's own converter writes, and reads back."""

import json
import os
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from minipi0 import data
from minipi0.data import writer
from minipi0.data.writer import Episode, write

CAMERAS = ("observation.images.top", "observation.images.wrist")


def episode(length, shade=100, task="tidy up", cameras=CAMERAS, seed=0):
    rng = np.random.default_rng(seed)
    ramp = (shade + np.arange(length))[:, None, None, None]
    videos = {
        camera: np.broadcast_to(ramp, (length, 16, 32, 3)).astype(np.uint8) for camera in cameras
    }
    return Episode(rng.normal(size=(length, 3)), rng.normal(size=(length, 2)), task, videos)


def three():
    return [episode(5, 50, seed=0), episode(7, 100, "make coffee", seed=1), episode(4, 150, seed=2)]


def written(folder, episodes=None, **kwargs):
    return write(
        folder, three() if episodes is None else episodes, 10, ["a", "b", "c"], ["x", "y"], **kwargs
    )


def test_round_trip(tmp_path):
    folder = written(tmp_path / "new", episodes_per_file=2)
    loaded = data.load(folder, horizon=3, split="all", image_size=32, cameras=list(CAMERAS))
    assert len(loaded) == 16 and len(loaded.episodes) == 3
    original = three()
    for index in range(16):
        number, step = [
            (e, t) for e, part in enumerate(original) for t in range(len(part.actions))
        ][index]
        observation, actions, mask = loaded[index]
        real = original[number].actions[step : step + 3]
        assert mask.sum() == len(real)
        raw = actions[: len(real)] * loaded.stats["action_std"] + loaded.stats["action_mean"]
        np.testing.assert_allclose(raw, real, atol=1e-5)
        raw = observation.state * loaded.stats["state_std"] + loaded.stats["state_mean"]
        np.testing.assert_allclose(raw, original[number].states[step], atol=1e-5)
        level = (observation.images[:, :, 16, 16] + 1) * 127.5  # the middle: no padding there
        assert np.abs(level.numpy() - original[number].videos[CAMERAS[0]][step, 0, 0]).max() < 6
    assert len({tuple(loaded[i][0].tokens.tolist()) for i in range(16)}) == 2


def test_files_and_offsets(tmp_path):
    folder = written(tmp_path / "new", episodes_per_file=2)
    rows = pq.read_table(folder / writer.EPISODES).to_pylist()
    key = f"videos/{CAMERAS[1]}/"
    assert [
        (row[key + "file_index"], row[key + "from_timestamp"], row[key + "to_timestamp"])
        for row in rows
    ] == [(0, 0.0, 0.5), (0, 0.5, 1.2), (1, 0.0, 0.4)]
    assert [row["tasks"] for row in rows] == [["tidy up"], ["make coffee"], ["tidy up"]]
    with av.open(str(folder / f"videos/{CAMERAS[1]}/chunk-000/file-000.mp4")) as container:
        assert [round(frame.time * 10) for frame in container.decode(video=0)] == list(range(12))


def test_statistics(tmp_path):
    episodes = three()
    stats = json.loads((written(tmp_path / "new") / "meta/stats.json").read_text())
    actions = np.concatenate([part.actions for part in episodes]).astype(np.float32)
    pixels = np.concatenate([part.videos[CAMERAS[0]] for part in episodes]) / 255
    for name in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(stats["action"][name], getattr(actions, name)(axis=0), rtol=1e-5)
        np.testing.assert_allclose(
            np.ravel(stats[CAMERAS[0]][name]), getattr(pixels, name)(axis=(0, 1, 2)), rtol=1e-6
        )
    assert stats["action"]["count"] == stats[CAMERAS[0]]["count"] == [16]
    row = pq.read_table(tmp_path / "new" / writer.EPISODES).to_pylist()[1]
    np.testing.assert_allclose(row["stats/action/max"], episodes[1].actions.max(0), rtol=1e-5)


def test_the_same_columns_and_keys_as_lerobots_converter(tmp_path):
    reference = Path(os.environ.get("MINIPI0_DATA", "")) / "cr5_three_v30"
    if not (reference / "meta/info.json").exists():
        pytest.skip("no cr5_three_v30 in $MINIPI0_DATA")
    folder = written(tmp_path / "new", [episode(5, cameras=CAMERAS[:1])])
    for path in ("meta/tasks.parquet", writer.EPISODES, "data/chunk-000/file-000.parquet"):
        theirs, ours = (pq.read_schema(at / path) for at in (reference, folder))
        assert {field.name: str(field.type) for field in ours} == {
            field.name: str(field.type).replace("large_", "") for field in theirs
        }
    theirs, ours = (json.loads((at / "meta/info.json").read_text()) for at in (reference, folder))
    assert list(ours) == list(theirs) and list(ours["features"]) == list(theirs["features"])
    for name, feature in theirs["features"].items():
        assert list(ours["features"][name]) == list(feature)
        assert list(ours["features"][name].get("info", {})) == list(feature.get("info", {}))
    for key in ("codebase_version", "chunks_size", "data_path", "video_path"):
        assert ours[key] == theirs[key]
    theirs, ours = (json.loads((at / "meta/stats.json").read_text()) for at in (reference, folder))
    assert {key: list(value) for key, value in ours.items()} == {
        key: list(value) for key, value in theirs.items()
    }


def test_a_changed_page_of_a_table_is_refused(tmp_path):
    folder = written(tmp_path / "new")
    load = dict(horizon=3, split="all", cameras=[])
    for name in ("data/chunk-000/file-000.parquet", writer.EPISODES, "meta/tasks.parquet"):
        file = folder / name
        whole, parts = file.read_bytes(), []
        rows = pq.read_metadata(file).row_group(0)
        for i in range(rows.num_columns):
            column = rows.column(i)
            first = column.dictionary_page_offset or column.data_page_offset
            parts.append((column.path_in_schema, first + column.total_compressed_size - 1))
        wanted = ("observation.state", "action", "episode_index", "length", "task")
        for path, last in parts:  # the last byte of the column's last page
            if path.split(".list")[0] not in wanted:
                continue
            file.write_bytes(whole[:last] + bytes([whole[last] ^ 4]) + whole[last + 1 :])
            with pytest.raises(ValueError, match=f"{name} changed since it was written.*copy"):
                data.load(folder, **load)
        file.write_bytes(whole)
    assert len(data.load(folder, **load)) == 16
    for file in folder.glob("**/*.parquet"):
        pq.write_table(pq.read_table(file), file)  # as others write it
    assert len(data.load(folder, **load)) == 16


def test_without_cameras(tmp_path):
    folder = written(tmp_path / "new", [episode(5, cameras=())])
    assert not (folder / "videos").exists()
    assert len(data.load(folder, horizon=2, split="all", test_every=None)) == 5


def broken(**changes):
    part = episode(5)
    for name, value in changes.items():
        setattr(part, name, value)
    return part


@pytest.mark.parametrize(
    "part, message",
    [
        (broken(states=np.zeros((4, 3))), r"episode 1: states \(4, 3\) and actions \(5, 2\)"),
        (broken(states=np.zeros((0, 3)), actions=np.zeros((0, 2))), "with T >= 1"),
        (broken(actions=np.full((5, 2), np.nan)), "episode 1 holds a NaN"),
        (episode(5, cameras=CAMERAS[:1]), "its cameras or their sizes differ"),
        (
            broken(videos={camera: np.zeros((4, 16, 32, 3), np.uint8) for camera in CAMERAS}),
            r"expected \(5, H, W, 3\) uint8",
        ),
        (broken(videos={camera: np.zeros((5, 16, 32, 3)) for camera in CAMERAS}), "uint8"),
    ],
)
def test_episodes_that_do_not_fit_are_refused(tmp_path, part, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path / "new", [episode(5), part])
    assert not list(tmp_path.iterdir())


def test_odd_frames_and_no_episodes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must be even"):
        written(
            tmp_path / "new",
            [broken(videos={"observation.images.top": np.zeros((5, 15, 32, 3), np.uint8)})],
        )
    with pytest.raises(ValueError, match="no episodes"):
        written(tmp_path / "new", [])


def test_all_or_nothing(tmp_path, monkeypatch):
    written(tmp_path / "new")
    with pytest.raises(FileExistsError, match="name a new folder"):
        written(tmp_path / "new")
    monkeypatch.setattr(writer, "_task_table", lambda tasks: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        written(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
