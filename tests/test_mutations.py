"""Files that were changed byte by byte are refused by name, or read as they were: never a crash, a
hang, or another model.

    pytest -m soak tests/test_mutations.py        500 of every kind, five seeds, in 20 minutes
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

# how many of each kind CI tries: what costs 100 ms a time (transformers' sizes) fewer
COUNTS = {
    **{"model": 500, "model config": 150, "released": 40, "foreign": 60, "run": 40},
    **{"released config": 40, "processor": 15, "index": 40},
    **{"info": 150, "info v3": 150, "episodes": 150, "episodes v3": 150},
    **{"tasks v3": 100, "table": 200, "foreign table": 50, "images": 100, "video": 400},
}
CHECKED = (  # by checksums
    *("model", "model config", "released", "run", "index"),
    *("episodes v3", "tasks v3", "table"),
)
SLOW = 10  # seconds of CPU, for files of some kilobytes


def mutated(seed: int, counts: dict[str, int]) -> dict[str, list[dict]]:
    """What tests/mutations.py reports, by kind; it must come to its end."""
    program = Path(__file__).with_name("mutations.py")
    kinds = [f"{kind}={count}" for kind, count in counts.items()]
    done = subprocess.run(
        [sys.executable, str(program), str(seed), *kinds],
        capture_output=True,
        text=True,
        timeout=3600,
    )
    found = defaultdict(list)
    for line in done.stdout.splitlines():
        row = json.loads(line)
        found[row["kind"]].append(row)
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"crashed or hung after {last}: {done.stderr[-3000:]}"
    assert {kind: len(rows) for kind, rows in found.items()} == counts
    return found


def complaints(kind: str, rows: list[dict]) -> list[dict]:
    """The changes that ended as none may."""
    allowed = {"same", "refused"} if kind in CHECKED else {"same", "refused", "changed"}
    return [row for row in rows if row["ended"] not in allowed or row["seconds"] > SLOW]


@pytest.fixture(scope="module")
def found() -> dict[str, list[dict]]:
    return mutated(0, COUNTS)


@pytest.mark.parametrize("kind", COUNTS)
def test_a_changed_file_is_refused_or_read_right(found, kind):
    assert complaints(kind, found[kind]) == []
    assert any(row["ended"] == "refused" for row in found[kind])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
def test_500_of_every_kind(seed):
    found = mutated(seed, dict.fromkeys(COUNTS, 500))
    assert [row for kind, rows in found.items() for row in complaints(kind, rows)] == []
