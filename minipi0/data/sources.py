"""From the name of a data set to its folder on this machine.

A data set is named by a path, by a name of `NAMES`, or by a Hugging Face repo id.
"""

import hashlib
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.utils import WeakFileLock
from tqdm.auto import tqdm

HERE = Path(__file__).parent
NAMES = {
    "cr5-banana": "81 demonstrations of a real Dobot CR5 arm: a banana onto a plate (149 MB)",
    "metaworld-two-ways": "simulated demonstrations, carried by this package",
}
# MIT licence. The commit is fixed and the checksums of its files lie beside this module.
CR5_BANANA_COMMIT = "f4783b212a090c9f8668b85fb04cea57b8d8fa61"
CR5_BANANA_URL = (
    "https://raw.githubusercontent.com/HuangJunkai2023/CR5_TCP_test/"
    f"{CR5_BANANA_COMMIT}/lerobot_data/"
)
CR5_BANANA_CHECKSUMS = HERE / "cr5_banana.sha256"


def cache_folder() -> Path:
    """`$MINIPI0_CACHE`, or minipi0 in the platform's cache folder for applications."""
    if os.environ.get("MINIPI0_CACHE"):
        return Path(os.environ["MINIPI0_CACHE"]).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "minipi0"


def locate(
    source: str | Path, cameras: list[str] | None = None, revision: str | None = None
) -> Path:
    """The folder of a data set, fetched first where needed.

    cameras: those whose videos are wanted, None for all, [] for none.
    revision: a branch, tag or commit of a Hugging Face repository.
    Raises FileNotFoundError when `source` is no folder, no name of NAMES and no repo id; ValueError
    for the revision of what is no repository. Raises ConnectionError when it cannot be fetched.
    """
    found = _on_disk(source, cameras)
    if revision is not None and (found or str(source) in NAMES):
        raise ValueError(
            f"{source} is no repository of the Hugging Face Hub, and only that has a revision: "
            f"{revision!r}"
        )
    if found:
        return found
    source = str(source)
    if source == "cr5-banana":
        folder = cache_folder() / "cr5_banana"
        fetch(CR5_BANANA_URL, _wanted(CR5_BANANA_CHECKSUMS, cameras), folder)
        return folder
    if source in NAMES:
        raise FileNotFoundError(
            f"{source!r} should be part of the package but is not there: install minipi0 again"
        )
    if not _is_repo_id(source):
        raise FileNotFoundError(
            f"{source!r} is no data set: not a folder here "
            f"({Path(source).expanduser().absolute()}), "
            f"not a named one ({', '.join(NAMES)}), "
            "and not of the form of a Hugging Face repo id (owner/name)"
        )
    try:
        given = {} if revision is None else {"revision": revision}
        return _snapshot(source, cameras, **given)
    except (OSError, ValueError) as error:  # the Hub's errors are OSErrors
        of_it = f" (revision {revision!r})" if revision else ""
        raise ConnectionError(
            f"{source!r} is no folder here ({Path(source).absolute()}), "
            f"and as a Hugging Face data set{of_it} it could not be fetched: {error}"
        ) from error


def available(source: str | Path, cameras: list[str] | None = None) -> bool:
    """Whether the data set can be had without the network. If not, a notebook takes another one."""
    if _on_disk(source, cameras) is not None:
        return True
    return _is_repo_id(str(source)) and _in_hub_cache(str(source), cameras)


def fetch(url: str, checksums: dict[str, str], folder: Path) -> None:
    """Download url + PATH to folder / PATH for every PATH. An interrupted download can be resumed.

    checksums: {PATH: sha256}. A file gets its name only after its checksum is right, so files that
        are present are not checked again. A partial file is called PATH.part.
    Raises ConnectionError when the source cannot be reached, ValueError for a file with another
    checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(folder / ".lock"):  # a second process waits, then finds everything there
        missing = [path for path in checksums if not (folder / path).exists()]
        total, present = len(checksums), len(checksums) - len(missing)
        bar = tqdm(missing, f"fetching {folder.name}", total, unit="file", initial=present)
        for path in bar:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")
            try:
                _download(url + path, part)
            except (OSError, http.client.HTTPException) as error:
                raise ConnectionError(
                    f"{url + path} cannot be fetched ({error}). Run it again to go on where it "
                    "stopped, or, without a network, set MINIPI0_DATA to a folder that holds a "
                    f"copy as {folder.name}/."
                ) from error
            found = hashlib.sha256(part.read_bytes()).hexdigest()
            if found != checksums[path]:
                part.unlink()
                raise ValueError(
                    f"{url + path} has sha256 {found}, expected {checksums[path]}: refused. "
                    "Run it again: it may have been cut off."
                )
            os.replace(part, target)


def _download(url: str, part: Path) -> None:
    """Append what is missing of `url` to `part`, or all of it where the server knows no ranges."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            length = answer.headers.get("Content-Length")
            with part.open("ab" if answer.status == 206 else "wb") as out:
                before = out.tell()
                while block := answer.read(1 << 20):
                    out.write(block)
            if length and part.stat().st_size - before != int(length):
                raise ConnectionError("the connection broke")
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # 416: nothing beyond what is there; the checksum will tell whether that is the file


def read_checksums(file: Path) -> dict[str, str]:
    """{path: sha256} from the lines `SHA256  PATH` that the sha256sum command writes and checks."""
    lines = (line.split(maxsplit=1) for line in file.read_text().splitlines())
    return {path: digest for digest, path in lines}


def _wanted(checksums: Path, cameras: list[str] | None) -> dict[str, str]:
    """The files to fetch: all of them, or all but the videos where no camera is wanted."""
    wanted = read_checksums(checksums)
    if cameras == []:
        wanted = {path: wanted[path] for path in wanted if not path.startswith("videos/")}
    return wanted


def _on_disk(source: str | Path, cameras: list[str] | None) -> Path | None:
    """The folder of `source` when it is here already, or None.

    A name wins over a folder of that name (write ./NAME for the folder).
    """
    if source == "cr5-banana":
        given = Path(os.environ.get("MINIPI0_DATA", "")).expanduser() / "cr5_banana"
        if os.environ.get("MINIPI0_DATA") and (given / "meta" / "info.json").exists():
            return given
        fetched = cache_folder() / "cr5_banana"
        wanted = _wanted(CR5_BANANA_CHECKSUMS, cameras)
        return fetched if all((fetched / path).exists() for path in wanted) else None
    if source == "metaworld-two-ways":
        carried = HERE / "carried" / "metaworld_two_ways"
        return carried if (carried / "meta" / "info.json").exists() else None
    folder = Path(source).expanduser()
    return folder if folder.is_dir() else None


def _is_repo_id(source: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", source) is not None


def _in_hub_cache(repo_id: str, cameras: list[str] | None) -> bool:
    """Whether a snapshot is here. A file that it lacks is reported when it is read."""
    try:
        _snapshot(repo_id, cameras, local_files_only=True)
    except (OSError, ValueError):
        return False
    return True


def _snapshot(repo_id: str, cameras: list[str] | None, **options) -> Path:
    """A data set's folder in the Hub's cache, with the videos of these cameras."""
    # `*` matches across folders, and both versions have the camera's key as a folder
    videos = ["videos/*"] if cameras is None else [f"videos/*{camera}/*" for camera in cameras]
    # an old version's meta_data/info.json: so that it is named as what it is
    wanted = ["meta/*", "meta_data/info.json", "data/*", *videos]
    return Path(snapshot_download(repo_id, repo_type="dataset", allow_patterns=wanted, **options))
