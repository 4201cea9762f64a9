"""Data sets as other people's writers, converters and merging tools leave them."""

import json
import shutil
import warnings
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from test_data import (
    LENGTHS,
    TASKS,
    TOP,
    WRIST,
    edit_info,
    edit_table,
    episode_file,
    grey,
    video_file,
    write_set,
    write_video,
)
from test_untidy import edit_feature, rewrite

from minipi0 import data
from minipi0.data import features, report
from minipi0.normalise import Normaliser

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def v21(tmp_path):
    return write_set(tmp_path / "set")


def numbers(folder, **options):
    return data.load(folder, 3, cameras=[], split="all", **options)


def edit_list(folder, **columns) -> None:
    """Change the list of episodes of a v3.0 set. columns: {name: function of the episode}."""
    for file in folder.glob("meta/episodes/**/*.parquet"):
        rows = pq.read_table(file).to_pylist()
        for row in rows:
            for name, value in columns.items():
                name = name.replace("__", "/")
                row[name] = value(row["episode_index"], row.get(name))
        pq.write_table(pa.Table.from_pylist(rows), file)


# Where rows are


@pytest.mark.parametrize("kind", ["video", "image"])
@pytest.mark.parametrize("named", [0, 7])  # another table, and one that does not exist
def test_a_list_that_names_another_table(tmp_path, named, kind):
    """lerobot/libero is such a set, and what LeRobot's merging tool wrote in 2025."""
    folder = write_set(tmp_path / "set", "v3.0", kind=kind)
    options = dict(horizon=3, image_size=16, split="all")
    right = data.load(folder, **options)
    edit_list(folder, data__file_index=lambda e, file: named if e in (4, 5) else file)
    said = r"names another table .* of 2 episodes, .*\(episode 4: .*file-001.parquet\)"
    with pytest.warns(UserWarning, match=said) as told:
        moved = data.load(folder, **options)
    assert told[0].filename == __file__
    assert torch.equal(moved.actions, right.actions) and moved.episodes == right.episodes
    for one, other in zip(moved.pictures, right.pictures, strict=True):
        np.testing.assert_array_equal(one, other)
    with warnings.catch_warnings():  # episodes that are where the list has them are no matter
        warnings.simplefilter("error")
        assert numbers(folder, episodes=[0, 1]).episodes == [0, 1]


@pytest.mark.parametrize("copies", [0, 2])
def test_rows_that_no_table_or_two_tables_hold(tmp_path, copies):
    folder = write_set(tmp_path / "set", "v3.0", cameras=())
    edit_list(folder, data__file_index=lambda e, file: 0)
    file = folder / "data" / "chunk-000" / "file-001.parquet"
    for copy in range(copies):
        shutil.copy(file, file.with_name(f"file-{7 + copy}.parquet"))
    file.unlink()
    with pytest.raises(ValueError, match="file-000.parquet: expected .* episode 3 .* found 0"):
        numbers(folder)


def test_rows_that_say_another_episode(v21):
    """Tables that were copied together and not renumbered."""
    rewrite(v21, lambda t: t.set_column(4, "episode_index", pa.array([0] * len(t))))
    with pytest.raises(ValueError, match="its rows say episode_index 0: correct that column"):
        numbers(v21)
    edit_table(episode_file(v21, 1), episode_index=[1] * 8 + [2])
    with pytest.raises(ValueError, match="found 8: fetch it again, correct the length in meta/"):
        numbers(v21)


@pytest.mark.parametrize("first", [50, -3])
def test_rows_that_are_numbered_from_another_number_on(v21, first):
    """Converters that cut a recording, or that number the frames of the whole data set."""
    right = data.load(v21, 3, image_size=16, split="all")

    def later(table):
        number = pa.array([[first + k] for k in table["frame_index"].to_pylist()])
        return table.set_column(table.column_names.index("frame_index"), "frame_index", number)

    rewrite(v21, later)
    moved = data.load(v21, 3, image_size=16, split="all")
    assert torch.equal(moved.actions, right.actions)
    assert torch.equal(moved.frame_index, right.frame_index)
    np.testing.assert_array_equal(moved.pictures[0], right.pictures[0])
    write_video(video_file(v21, 2), [grey(n) for n in range(LENGTHS[2] + 4)])
    with pytest.raises(ValueError, match=f"10 frames for 6 rows, .* begins at {first}: cut the"):
        data.load(v21, 3, image_size=16)


def test_rows_of_which_some_were_taken_out(v21):
    edit_table(episode_file(v21, 2), frame_index=[0, 1, 2, 5, 6, 7])
    with pytest.raises(ValueError, match="goes from 2 to 5.*taken out, take them out of the vid"):
        numbers(v21)


def test_a_recording_that_never_began(tmp_path):
    for version in ("v2.1", "v3.0"):
        folder = write_set(tmp_path / version, version, cameras=())
        for part in ("data", "meta/episodes", "meta/episodes.jsonl"):
            shutil.rmtree(folder / part, ignore_errors=True)
            (folder / part).unlink(missing_ok=True)
        edit_info(folder, total_episodes=0, total_frames=0, splits={})
        with pytest.raises(ValueError, match="holds no episode yet: record one"):
            numbers(folder)


def test_a_wrong_count_says_what_to_do(v21):
    edit_info(v21, total_episodes=0)
    with pytest.raises(ValueError, match="counts 0 .* has 6: .* correct total_episodes there"):
        numbers(v21)


# What info.json says


@pytest.mark.parametrize("version, other", [("v2.1", "v3.0"), ("v3.0", "v2.1")])
def test_a_version_that_the_files_are_not_of(tmp_path, version, other):
    folder = write_set(tmp_path / "set", version, cameras=())
    edit_info(folder, codebase_version=other)
    with pytest.raises(
        ValueError, match=f"'{other}', but .*, as {version} has it: write '{version}'"
    ):
        numbers(folder)


@pytest.mark.parametrize(
    "version, written, told",
    [
        ("v2.1", "2.1", None),
        ("v3.0", "3.0", None),
        ("v2.1", "v2.2", "read as v2.1"),
        ("v3.0", "v3.1", "read as v3.0"),
    ],
)
def test_versions_as_others_write_them(tmp_path, version, written, told):
    folder = write_set(tmp_path / "set", version, cameras=(TOP,))
    right = data.load(folder, 3, image_size=16)
    edit_info(folder, codebase_version=written)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read = data.load(folder, 3, image_size=16)
    assert torch.equal(read.actions, right.actions)
    np.testing.assert_array_equal(read.pictures[0], right.pictures[0])
    messages = [str(one.message) for one in said]
    assert len(messages) == (told is not None) and all(told in one for one in messages)
    assert all(one.filename == __file__ for one in said)
    for unknown in ("v4.0", "30", 3, None):
        edit_info(folder, codebase_version=unknown)
        with pytest.raises(ValueError, match="is unknown; v2.0, v2.1 and v3.0 can be read"):
            numbers(folder)


@pytest.mark.parametrize("side", [-1, None])
def test_shapes_of_any_length(v21, side):
    right = numbers(v21)
    for key in ("observation.state", "action"):
        edit_feature(v21, key, shape=[side])
    assert torch.equal(numbers(v21).actions, right.actions)
    assert report.examine(v21).facts["episodes"] == "6"


@pytest.mark.parametrize("key", ["states", "observation.states"])
def test_more_names_of_a_state(tmp_path, key):
    folder = write_set(tmp_path / "set", cameras=(), keys=(key, "actions"))
    assert numbers(folder).state.shape[1] == 3


def test_parts_of_a_state_are_listed_as_what_to_write(tmp_path):
    keys = ("observation.states.joint.position", "actions")
    folder = write_set(tmp_path / "set", cameras=(), keys=keys)
    edit_feature(folder, "observation.states.effector.position", dtype="float32", shape=[2])
    both = r"state_key=\['observation.states.joint.position', 'observation.states.effector.pos"
    with pytest.raises(ValueError, match=f"several together are a list, {both}"):
        numbers(folder)


def test_dims_of_one_name_are_told_apart(v21):
    """LIBERO's two fingers are both called gripper."""
    edit_feature(v21, "observation.state", names={"motors": ["x", "gripper", "gripper"]})
    assert numbers(v21).state_names == ["x", "gripper[1]", "gripper[2]"]
    two = {"a": {"names": ["x"]}, "b": {"names": ["x"]}}
    assert features.names_of(two, ["a", "b"], [1, 1]) == ["a.x", "b.x"]


def test_splits_of_the_data_set_are_told(v21):
    edit_info(v21, splits={"train": "0:6"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers(v21)
    edit_info(v21, splits={"train": "0:4", "val": "4:5", "test": "5:6"})
    with pytest.warns(UserWarning, match=r"\(train 0:4, val 4:5, test 5:6\), .* without=") as told:
        numbers(v21)
    assert told[0].filename == __file__


def test_a_collection_on_the_hub(tmp_path):
    folder = tmp_path / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="a collection.*`hf download .*name that folder"):
        data.load(folder, 2)
    write_set(folder / "robot" / "task", cameras=())
    with pytest.raises(FileNotFoundError, match="but .*0123abc/robot/task: name that"):
        data.load(folder, 2)


# Cameras


def test_a_camera_that_some_episodes_lack(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0")
    place = ("chunk_index", "file_index", "from_timestamp")
    none = {f"videos__{WRIST}__{k}": lambda e, was: None if e in (1, 2, 4) else was for k in place}
    edit_list(folder, **none)
    with pytest.raises(ValueError, match="no video of .*wrist for episodes 1-2, 4: leave them out"):
        data.load(folder, 2, image_size=8)
    items = data.load(folder, 2, image_size=16, split="all", without=[1, 2, 4])
    levels = (items.batch(range(len(items)))[0].images[:, 1, :, 8, 8] + 1) * 127.5
    starts = np.cumsum([0, *LENGTHS])
    wanted = [grey(n, WRIST) for e in (0, 3, 5) for n in range(starts[e], starts[e + 1])]
    assert (levels - torch.tensor(wanted)[:, None]).abs().max() < 6


def test_a_stored_chunk_of_actions_is_no_camera(tmp_path):
    folder = write_set(tmp_path / "set", cameras=())

    def chunks(table):
        at = table.column_names.index("action")
        cells = [(np.ones((32, 14)) * k).tolist() for k in range(len(table))]
        return table.set_column(at, "action", pa.array(cells, pa.list_(pa.list_(pa.float32()))))

    rewrite(folder, chunks)
    edit_feature(folder, "action", shape=[32, 14], names=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.load(folder, 2).actions.shape[1] == 448


@pytest.mark.parametrize("told", [False, True])
def test_colours_that_are_called_depth(tmp_path, told):
    key = "observation.images.depth_left"
    folder = write_set(tmp_path / "set", cameras=(TOP, key))
    if told:
        edit_feature(folder, key, info={"is_depth_map": True})
        with pytest.warns(UserWarning, match="left out: .*depth_left: it is a depth map"):
            assert data.load(folder, 2, image_size=8).cameras == [TOP]
        return
    with pytest.warns(UserWarning, match="taken as colours, .*: .*depth_left; where they show"):
        assert data.load(folder, 2, image_size=8).cameras == [TOP, key]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load(folder, 2, cameras=["top", "depth_left"], image_size=8)


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_images_as_fractions(tmp_path, kind):
    folder = write_set(tmp_path / "set", kind="image", cameras=(TOP,))

    def fractions(table, white=1.0):
        cells = [
            np.full((3, 24, 32), white * grey(n) / 255).tolist() for n in table["index"].to_pylist()
        ]
        cells = pa.array(cells, pa.list_(pa.list_(pa.list_(kind))))
        return table.set_column(table.column_names.index(TOP), TOP, cells)

    rewrite(folder, fractions)
    edit_feature(folder, TOP, shape=[3, 24, 32])
    items = data.load(folder, 2, image_size=32, split="all")
    levels = (items.batch(range(45))[0].images[:, 0, :, 12, 12] + 1) * 127.5
    assert (levels - torch.tensor([grey(n) for n in range(45)])[:, None]).abs().max() < 0.01
    rewrite(folder, lambda table: fractions(table, 255.0))
    with pytest.raises(ValueError, match="no colours .whole numbers from 0 to 255, or fractions"):
        data.load(folder, 2, image_size=32)


def test_images_of_an_undeclared_shape(tmp_path):
    folder = write_set(tmp_path / "set", kind="image", cameras=(TOP,))

    def arrays(table):
        cells = pa.array([np.zeros((4, 4, 3), int).tolist()] * len(table))
        return table.set_column(table.column_names.index(TOP), TOP, cells)

    rewrite(folder, arrays)
    edit_feature(folder, TOP, shape=None)
    with pytest.raises(ValueError, match="declares.*: correct the shape there"):
        data.load(folder, 2, image_size=8)


def test_everything_of_a_humanoid_at_once(tmp_path):
    """BEHAVIOR-1K's layout: no frame or task numbers, gaps, depth, a shape of null."""
    names = [[f"j{i}" for i in range(3)]]
    folder = write_set(
        tmp_path / "set", cameras=(TOP, "observation.images.depth.head"), names=names
    )
    edit_feature(folder, "observation.images.depth.head", info={"video.is_depth_map": True})
    edit_feature(folder, "observation.task_info", dtype="float32", shape=[None])
    rewrite(folder, lambda t: t.drop_columns(["frame_index", "task_index"]))
    listing = folder / "meta" / "episodes.jsonl"
    rows = [json.loads(line) for line in listing.read_text().splitlines()]
    template = "task-{episode_chunk:04d}/episode_{episode_index:08d}"
    edit_info(folder, chunks_size=10000, data_path=f"data/{template}.parquet",
        video_path="videos/{video_key}/" + template + ".mp4")  # fmt: skip
    for row, new in zip(rows, (10, 20, 10010, 10020, 20010, 20020), strict=True):
        old, row["episode_index"] = row["episode_index"], new
        name = f"task-{new // 10000:04d}/episode_{new:08d}"
        for source, target in (
            (episode_file(folder, old), folder / "data" / f"{name}.parquet"),
            (video_file(folder, old), folder / "videos" / TOP / f"{name}.mp4"),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
        edit_table(folder / "data" / f"{name}.parquet", episode_index=[new] * row["length"])
    listing.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.warns(UserWarning, match="left out: .*depth.head: it is a depth map"):
        items = data.load(folder, 3, image_size=16, split="all")
    assert items.episodes == [10, 20, 10010, 10020, 20010, 20020]
    assert items.state_names == ["j0", "j1", "j2"] and len(set(items.tasks)) == 2
    levels = (items.batch(range(45))[0].images[:, 0, :, 8, 8] + 1) * 127.5
    assert (levels - torch.tensor([grey(n) for n in range(45)])[:, None]).abs().max() < 6


@pytest.mark.parametrize("rate", [Fraction(99, 10), Fraction(101, 10), 12])
def test_a_shared_video_at_nearly_the_rate(tmp_path, rate):
    """Videos of 29.97 frames a second in a set that says 30: where the frames are as many as the
    rows, their numbers find them.
    """
    folder = write_set(tmp_path / "set", "v3.0", lengths=(7, 80, 6, 70), cameras=(TOP,))
    for index, frames in ((0, range(87)), (1, range(87, 163))):
        file = folder / "videos" / TOP / "chunk-000" / f"file-{index:03d}.mp4"
        write_video(file, [grey(n) for n in frames], fps=rate)
    if rate == 12:
        with pytest.raises(ValueError, match=r"(87|76) frames for \1 rows at 10 a second, but"):
            data.load(folder, 2, image_size=16)
        return
    with pytest.warns(UserWarning, match="2 files hold just these .*times told: .*is shown at"):
        items = data.load(folder, 2, image_size=16, split="all")
    levels = (items.batch(range(163))[0].images[:, 0, :, 8, 8] + 1) * 127.5
    assert (levels - torch.tensor([grey(n) for n in range(163)])[:, None]).abs().max() < 6
    with pytest.warns(UserWarning, match="yet not at the times told"):
        some = data.load(folder, 2, image_size=16, episodes=[1], test_every=None)
    assert torch.equal(some.batch([3])[0].images, items.batch([10])[0].images)
    video = folder / "videos" / TOP / "chunk-000" / "file-000.mp4"
    write_video(video, [grey(n) for n in range(95)], fps=rate)  # and frames of no episode
    with pytest.raises(ValueError, match="95 frames for 87 rows"):
        data.load(folder, 2, image_size=16)


def test_videos_of_some_episodes(v21):
    for index in (1, 4):
        video_file(v21, index, WRIST).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"top'\], or take .* have them: episodes=0, 2-3, 5"
    ):
        data.load(v21, 2)
    assert data.load(v21, 2, image_size=8, episodes=[0, 2, 3, 5]).cameras == [TOP, WRIST]


# Files


def test_files_that_macos_leaves(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0", cameras=())
    right = numbers(folder)
    for file in folder.glob("**/*.parquet"):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7")
    assert torch.equal(numbers(folder).actions, right.actions)


def test_templates_that_were_written_on_windows(v21):
    right = data.load(v21, 2, image_size=8)
    info = json.loads((v21 / "meta" / "info.json").read_text())
    edit_info(v21, **{k: info[k].replace("/", "\\") for k in ("data_path", "video_path")})
    np.testing.assert_array_equal(data.load(v21, 2, image_size=8).pictures[0], right.pictures[0])
    edit_info(v21, data_path="..\\..\\{episode_index}.parquet")
    with pytest.raises(ValueError, match="leaves the folder of the data set: refused"):
        numbers(v21)


def test_numbers_as_categories(v21):
    right = numbers(v21)

    def categories(table):
        for name in ("episode_index", "task_index"):
            at = table.column_names.index(name)
            table = table.set_column(at, name, table[name].dictionary_encode())
        return table

    rewrite(v21, categories)
    assert torch.equal(numbers(v21).actions, right.actions) and numbers(v21).tasks == right.tasks


def test_times_as_texts(v21):
    def texts(table):
        at = table.column_names.index("timestamp")
        return table.set_column(at, "timestamp", table["timestamp"].cast(pa.string()))

    rewrite(v21, texts)
    assert numbers(v21) and report.examine(v21).facts["clock"] == "no timestamps in the tables"


def test_episodes_of_other_widths(v21):
    """A robot that got another gripper between two episodes, in a set that declares no length."""
    edit_feature(v21, "action", shape=[-1])
    edit_table(episode_file(v21, 3), action=[[0.0, 1.0, 2.0]] * LENGTHS[3])
    with pytest.raises(ValueError, match="the action of episode 3 has 3 dims, and 2 in episode 0"):
        numbers(v21)
    assert numbers(v21, without=[3]).actions.shape[1] == 2


def test_a_list_without_file_numbers(tmp_path):
    folder = write_set(tmp_path / "set", "v3.0", cameras=())
    right = numbers(folder)
    edit_list(folder, data__file_index=lambda e, file: None)
    with pytest.warns(UserWarning, match="names another table than holds the rows of 3 episodes"):
        assert torch.equal(numbers(folder).actions, right.actions)


def test_the_report_is_short_where_dims_have_no_names_and_tells_splits(v21):
    edit_feature(v21, "observation.state", names=["state"])
    edit_info(v21, splits={"train": "0:4", "test": "4:6"})
    facts = report.examine(v21).facts
    assert facts["state"].startswith("3: observation.state[0] to observation.state[2] (info.json")
    assert facts["action"] == "2: arm, gripper" and facts["splits"].startswith("train 0:4, test")


def test_two_cameras_of_one_file(v21):
    edit_info(
        v21, video_path="videos/chunk-{episode_chunk:03d}/top/episode_{episode_index:06d}.mp4"
    )
    with pytest.raises(ValueError, match="video_path names one file, .*write {video_key} there"):
        data.load(v21, 2)


def test_tasks_that_were_not_renumbered(v21):
    """Sets that were merged: every table says task 0, and the list of episodes knows better."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers(v21)
    edit_table(episode_file(v21, 1), task_index=[0] * LENGTHS[1])
    said = "task_index of 1 episodes tells another task .*episode 1: .*the table's is taken"
    with pytest.warns(UserWarning, match=said) as told:
        assert set(numbers(v21).tasks) == {TASKS[0]}
    assert told[0].filename == __file__
    listing = v21 / "meta" / "episodes.jsonl"
    listing.write_text(listing.read_text().replace("tasks", "words"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers(v21)


# Numbers


@pytest.mark.parametrize("mode", ["z-score", "quantile", "min-max"])
def test_a_button_that_is_hardly_ever_pressed(mode):
    """The last action of Open X-Embodiment's sets says that the episode ends: 1 in one frame."""
    values = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    values[:, 1] = 0
    values[::250, 1] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Normaliser.fit(values, mode)
    assert found.to_model(torch.from_numpy(values)).abs().max() < 20
    if mode == "quantile":
        assert found.to_model(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))[:, 1].tolist() == [-1, 1]
        values[500, 1] = 0.5  # no button: three values
        with pytest.warns(UserWarning, match="hardly changes"):
            Normaliser.fit(values, mode)
