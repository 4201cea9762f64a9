"""Finding data sets, and fetching them: from a server on this machine, never from outside."""

import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects

from minipi0 import data
from minipi0.data import sources

FILES = {
    "meta/info.json": b'{"codebase_version": "v2.1"}',
    "data/chunk-000/episode_000000.parquet": b"table" * 1000,
    "videos/a/b.mp4": bytes(range(256)) * 40,
}
CHECKSUMS = {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}


class Server(http.server.BaseHTTPRequestHandler):
    """Serves FILES; its class attributes say how well, and note what was asked."""

    ranges, content, cut_after = True, FILES, None

    def do_GET(self):
        body, asked = self.content.get(self.path[1:]), self.headers.get("Range")
        self.asked.append((self.path[1:], asked))
        if body is None:
            self.send_error(404)
            return
        status, start = (206, int(asked[6:-1])) if asked and self.ranges else (200, 0)
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : start + self.cut_after] if self.cut_after else body[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """(url, handler class): a server of FILES."""
    handler = type("Handler", (Server,), {"asked": []})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}/", handler
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_data_here(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MINIPI0_DATA", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        sources, "snapshot_download", lambda *_, **__: pytest.fail("nothing is asked of the Hub")
    )
    monkeypatch.setattr(sources, "CR5_BANANA_URL", "http://127.0.0.1:9/")  # where nobody listens


def whole(folder: Path) -> bool:
    return all(
        (folder / path).read_bytes() == content for path, content in FILES.items()
    ) and not list(folder.glob("**/*.part"))


def test_fetch_and_fetch_again(server, tmp_path):
    url, handler = server
    sources.fetch(url, CHECKSUMS, tmp_path / "set")
    assert whole(tmp_path / "set") and len(handler.asked) == 3
    sources.fetch(url, CHECKSUMS, tmp_path / "set")
    assert len(handler.asked) == 3
    (tmp_path / "set" / "videos/a/b.mp4").unlink()
    sources.fetch(url, CHECKSUMS, tmp_path / "set")
    assert whole(tmp_path / "set") and handler.asked[3:] == [("videos/a/b.mp4", None)]


@pytest.mark.parametrize("ranges, asked", [(True, "bytes=700-"), (False, "bytes=700-")])
def test_fetch_goes_on_where_it_stopped(server, tmp_path, ranges, asked):
    url, handler = server
    handler.cut_after = 700
    with pytest.raises(
        ConnectionError,
        match="data/chunk-000/episode_000000.parquet cannot be fetched .*Run it again to go on",
    ):
        sources.fetch(url, CHECKSUMS, tmp_path / "set")
    assert not (tmp_path / "set/data/chunk-000/episode_000000.parquet").exists()
    handler.cut_after, handler.ranges = None, ranges
    handler.asked.clear()
    sources.fetch(url, CHECKSUMS, tmp_path / "set")
    assert whole(tmp_path / "set") and handler.asked[0] == (
        "data/chunk-000/episode_000000.parquet",
        asked,
    )
    assert "meta/info.json" not in dict(handler.asked)


def test_a_partial_file_that_is_complete(server, tmp_path):
    url, _ = server
    (tmp_path / "set/videos/a").mkdir(parents=True)
    (tmp_path / "set/videos/a/b.mp4.part").write_bytes(FILES["videos/a/b.mp4"])
    sources.fetch(url, CHECKSUMS, tmp_path / "set")
    assert whole(tmp_path / "set")


def test_wrong_content_is_refused(server, tmp_path):
    url, handler = server
    handler.content = FILES | {"videos/a/b.mp4": b"version https://git-lfs"}
    with pytest.raises(ValueError, match="videos/a/b.mp4 has sha256 .*expected .*refused"):
        sources.fetch(url, CHECKSUMS, tmp_path / "set")
    assert not list((tmp_path / "set/videos").glob("**/*.mp4*"))
    handler.content = {}
    with pytest.raises(ConnectionError, match="404"):
        sources.fetch(url, CHECKSUMS, tmp_path / "set")


def test_two_at_once(server, tmp_path):
    url, handler = server
    threads = [
        threading.Thread(target=sources.fetch, args=(url, CHECKSUMS, tmp_path / "set"))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(tmp_path / "set") and len(handler.asked) == 3


def test_the_real_arm_is_found_or_fetched(server, tmp_path, monkeypatch):
    assert not data.available("cr5-banana")
    with pytest.raises(
        ConnectionError,
        match="without a network, set MINIPI0_DATA to a folder that holds a copy as cr5_banana/",
    ):
        data.load("cr5-banana", 2)
    listed = tmp_path / "list.sha256"
    listed.write_text("".join(f"{digest}  {path}\n" for path, digest in CHECKSUMS.items()))
    monkeypatch.setattr(sources, "CR5_BANANA_URL", server[0])
    monkeypatch.setattr(sources, "CR5_BANANA_CHECKSUMS", listed)
    folder = sources.locate("cr5-banana", cameras=[])
    assert folder == tmp_path / "cache" / "cr5_banana" and not (folder / "videos").exists()
    assert data.available("cr5-banana", cameras=[]) and not data.available("cr5-banana")
    assert sources.locate("cr5-banana") == folder and whole(folder) and data.available("cr5-banana")
    (tmp_path / "given/cr5_banana/meta").mkdir(parents=True)
    monkeypatch.setenv("MINIPI0_DATA", str(tmp_path / "given"))
    assert sources.locate("cr5-banana") == folder  # the given folder does not hold it
    (tmp_path / "given/cr5_banana/meta/info.json").write_text("{}")
    assert sources.locate("cr5-banana") == tmp_path / "given/cr5_banana"


def test_the_checksums_cover_the_data_set():
    listed = sources.read_checksums(sources.CR5_BANANA_CHECKSUMS)
    assert all(len(digest) == 64 and int(digest, 16) >= 0 for digest in listed.values())
    tables = {f"data/chunk-000/episode_{i:06d}.parquet" for i in range(81)}
    videos = {f"videos/chunk-000/observation.images.top/episode_{i:06d}.mp4" for i in range(81)}
    assert set(listed) == tables | videos | {
        f"meta/{name}"
        for name in ("info.json", "episodes.jsonl", "episodes_stats.jsonl", "tasks.jsonl")
    }


def test_what_is_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for source in ("cr5-bananas", "./somewhere", str(tmp_path / "nowhere"), Path("a/b/c")):
        with pytest.raises(
            FileNotFoundError,
            match="not a folder here .*not a named one .cr5-banana, metaworld-two-ways.*owner/name",
        ):
            data.load(source, 2)
        assert not data.available(source)
    (tmp_path / "mine").mkdir()
    assert data.available("mine") and sources.locate("mine") == Path("mine")


def test_the_hub(tmp_path, monkeypatch):
    asked = []

    def snapshot_download(repo_id, **options):
        asked.append((repo_id, options))
        return str(tmp_path)

    monkeypatch.setattr(sources, "snapshot_download", snapshot_download)
    assert (
        sources.locate("lerobot/pusht") == tmp_path
        and asked[0][0] == "lerobot/pusht"
        and asked[0][1]["repo_type"] == "dataset"
    )
    assert data.available("lerobot/pusht") and asked[1][1]["local_files_only"]
    old, new = (
        "videos/chunk-000/observation.images.top/episode_000000.mp4",
        "videos/observation.images.top/chunk-000/file-000.mp4",
    )
    rest = [
        "meta/info.json",
        "meta/episodes/chunk-000/file-000.parquet",
        "data/chunk-000/file-000.parquet",
    ]
    for cameras, expected in (
        (None, [old, new, *rest]),
        ([], rest),
        (["top"], [old, new, *rest]),
        (["observation.images.wrist"], rest),
    ):
        sources.locate("lerobot/pusht", cameras)
        kept = filter_repo_objects(
            [old, new, *rest, "README.md"], allow_patterns=asked[-1][1]["allow_patterns"]
        )
        assert list(kept) == expected

    def fails(*_, **__):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(sources, "snapshot_download", fails)
    assert not data.available("lerobot/pusht")
    reason = "as a Hugging Face data set it could not be fetched: no network"
    with pytest.raises(ConnectionError, match=f"'lerobot/pusht' is no folder here .*{reason}"):
        data.load("lerobot/pusht", 2)


def test_the_carried_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "HERE", tmp_path)
    assert not data.available("metaworld-two-ways")
    with pytest.raises(FileNotFoundError, match="install minipi0 again"):
        data.load("metaworld-two-ways", 2)
    folder = tmp_path / "carried" / "metaworld_two_ways"
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps({}))
    assert data.available("metaworld-two-ways") and sources.locate("metaworld-two-ways") == folder


def test_a_revision_reaches_the_hub_and_only_a_repository_has_one(tmp_path, monkeypatch):
    asked = []

    def snapshot(repo_id, **options):
        asked.append((repo_id, options.get("revision")))
        raise OSError("no network")

    monkeypatch.setattr(sources, "snapshot_download", snapshot)
    for revision in ("v1", None):
        with pytest.raises(ConnectionError, match="revision 'v1'|data set it could not"):
            data.load("someone/robot", horizon=4, revision=revision)
    assert asked == [("someone/robot", "v1"), ("someone/robot", None)]
    for source in (tmp_path, "metaworld-two-ways"):
        with pytest.raises(ValueError, match="only that has a revision: 'v1'"):
            data.load(source, horizon=4, revision="v1")
