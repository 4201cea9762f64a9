"""Training that is ended in every way, run by test_survival.py in a process of its own.

    python tests/survival.py FOLDER KILLS

Every life is a fork, so that it costs no new start of Python. Prints what was found, as JSON.
"""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from synthetic import Chunks, tiny

from minipi0.checkpoint import read_tensors, run
from minipi0.train import Recipe, fit

warnings.filterwarnings("ignore")
RECIPE = Recipe(steps=100_000, batch_size=4, warmup=5)
ENDED, REFUSED, FULL = 10, 11, 12  # exit statuses


def life(out: Path, steps: int | None = None, most: int | None = None) -> int:
    """Train in a process of its own, saving after every step; returns its id.

    steps: how many more, None for no end. most: bytes that a file may have.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # none before there is a `try`
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        return pid
    status, interrupts = 1, []

    def interrupt(number, frame):
        interrupts.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        resume = (out / run.STATE).exists()
        calls = None if steps is None else 1 + steps  # the first one looks at the data
        saving = dict(out=out, save_every=1, resume=resume, progress=False)
        fit(tiny(), Chunks(fail_at=calls), recipe=RECIPE, **saving)
    except KeyboardInterrupt:
        status = ENDED
    except ValueError as error:
        status = REFUSED if "another process trains in" in str(error) else 1
        print(error, file=sys.stderr)
    except OSError as error:
        named = str(out) in str(error) and error.errno in (errno.EFBIG, errno.ENOSPC)
        status = FULL if named else 1
        print(error, file=sys.stderr)
    finally:
        # Code in C that Ctrl-C meets may make an error of its own of it: torch.asarray does.
        os._exit(ENDED if interrupts else status)


def ended(pid: int, by: int | None = None) -> int:
    """The exit status of a life, or minus the signal that ended it.

    by: a signal to end it with, sent again every ten seconds: a finalizer may swallow Ctrl-C.
    """
    for attempt in range(30000):
        if by is not None and attempt % 1000 == 0:
            os.kill(pid, by)
        if (found := os.waitpid(pid, os.WNOHANG))[0]:
            return os.waitstatus_to_exitcode(found[1])
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError("a life went on for five minutes")


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def done(out: Path) -> int:
    """How many steps the state holds; both files must be whole."""
    for file in (out / "model.safetensors", out / run.STATE):
        if file.exists():
            tensors, _ = read_tensors(file)
    return len(tensors["losses"]) if (out / run.STATE).exists() else 0


def same_as_undisturbed(out: Path, folder: Path) -> bool:
    """Two steps more, and a run from the beginning without any trouble: the same files."""
    whole = folder / f"undisturbed-{out.name}"
    steps = done(out) + 2
    assert ended(life(out, 2)) == ended(life(whole, steps)) == ENDED
    assert done(out) == steps
    return names(out) == names(whole) and all(
        (out / name).read_bytes() == (whole / name).read_bytes() for name in names(whole)
    )


def killed(out: Path, kills: int, with_signal: int) -> dict:
    """Ended by a signal at random moments, and started again.

    Returns how often a part of a file was left, and the steps that were saved, life by life.
    """
    rng, left, steps, begun = np.random.default_rng(0), 0, [], time.perf_counter()
    assert ended(life(out, 3)) == ENDED
    usual = time.perf_counter() - begun  # what a start and three steps take on this machine
    for _ in range(kills):
        pid = life(out)
        time.sleep(usual * rng.uniform(0.2, 2))
        status = ended(pid, with_signal)
        assert status in (-signal.SIGKILL, ENDED), status
        left += any(name.startswith(".") for name in names(out))
        steps.append(done(out))
    return {"left": left, "steps": steps}


def full(out: Path) -> list:
    """No room for the next state: the last one is there as it was, and nothing else."""
    assert ended(life(out, 3)) == ENDED
    before = {name: (out / name).read_bytes() for name in names(out)}
    status = ended(life(out, 3, most=len(before[run.STATE]) // 2))
    return [status == FULL, {name: (out / name).read_bytes() for name in names(out)} == before]


def small_disk(out: Path) -> list | None:
    """The same on a real one of 1 MB, filled up; None where none can be mounted."""
    out.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(out)]
    if subprocess.run(line, capture_output=True).returncode:
        return None
    try:
        inner = out / "run"
        assert ended(life(inner, 3)) == ENDED
        before = {name: (inner / name).read_bytes() for name in names(inner)}
        filler = out / "filler"
        try:
            filler.write_bytes(bytes(2**20))
        except OSError:
            pass  # full
        status = ended(life(inner, 3))
        kept = {name: (inner / name).read_bytes() for name in names(inner)} == before
        filler.unlink()
        return [status == FULL, kept, same_as_undisturbed(inner, out.parent)]
    finally:
        subprocess.run(["umount", str(out)], check=True)


def together(out: Path) -> list:
    """A second process in the same folder is refused, and the first does not notice."""
    first = life(out)
    while not (out / run.STATE).exists():
        time.sleep(0.01)
    second = ended(life(out))
    time.sleep(0.2)
    return [second == REFUSED, ended(first, signal.SIGINT) == ENDED]


def main(folder: Path, kills: int) -> None:
    found: dict = {"killed": killed(folder / "killed", kills, signal.SIGKILL)}
    found["interrupted"] = killed(folder / "interrupted", kills // 4, signal.SIGINT)
    found["full"] = full(folder / "full")
    found["together"] = together(folder / "together")
    found["small disk"] = small_disk(folder / "small")
    for name in ("killed", "interrupted", "full", "together"):
        found[f"{name}: same"] = same_as_undisturbed(folder / name, folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
