"""Tries other versions of what minipi0 stands on than the pinned ones, and prints the table.

    python tests/versions.py                             every row
    python tests/versions.py "oldest numpy" --tests tests/test_flow.py
    python tests/versions.py "as pinned" --python python3.13

A row is a virtual environment of its own, laid over the packages of this one, with a few of them in
another version. Another Python needs all of them anew. pip's own settings say where from.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = {  # what is installed over the pinned packages; without a version: the newest there is
    "as pinned": [],
    "oldest torch": ["torch==2.6.0"],
    "newest torch": ["torch"],
    "oldest transformers": ["transformers==5.4.0"],
    "newest transformers": ["transformers"],
    "oldest numpy": ["numpy==2.0.0"],
    "newest numpy": ["numpy"],
    "oldest gymnasium": ["gymnasium==1.2.0"],
    "newest gymnasium": ["gymnasium"],
}
SHOWN = ("torch", "transformers", "numpy", "gymnasium")
TESTS = ("flow", "gemma", "pi0", "layouts", "normalise", "train", "policy", "simulator")
VERSIONS = f"""
from importlib.metadata import version
print(*(version(name) for name in {SHOWN}))
"""


def run(*line: str) -> subprocess.CompletedProcess:
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT)


def environment(folder: Path, pins: list[str], python: str) -> str:
    """Make the environment of a row; returns its Python. Raises RuntimeError with pip's words."""
    own = python == sys.executable
    run(python, "-m", "venv", str(folder))
    inner = str(folder / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    wanted = [*pins] if own else ["-r", "requirements.txt", *pins]
    if own:
        where = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        over = Path(run(inner, "-c", where).stdout.strip())
        (over / "below.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    if wanted:
        upgrade = ["--upgrade"] if own else []
        done = run(inner, "-m", "pip", "install", "--quiet", *upgrade, *wanted)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return inner


def row(name: str, python: str, tests: list[str]) -> str:
    """A line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            inner = environment(Path(folder), ROWS[name], python)
        except RuntimeError as error:
            return f"| {name} | | | | | | cannot be installed here: {error} |"
        found = run(inner, "-c", VERSIONS).stdout.split()
        number = run(inner, "-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))")
        plain = ["-q", "--no-header", "-o", "addopts=", "-m", "not soak", "--tb=line"]
        done = run(inner, "-m", "pytest", *plain, *tests)
    said = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()[-200:]]
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-2000:], file=sys.stderr)
    return f"| {name} | {number.stdout.strip()} | {' | '.join(found)} | {said[0].strip('= ')} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--python", default=sys.executable, help="another one, for all rows")
    default = [f"tests/test_{name}.py" for name in TESTS]
    parser.add_argument("--tests", nargs="+", default=default)
    args = parser.parse_args()
    if unknown := set(args.rows) - ROWS.keys():
        parser.error(f"no row is called {', '.join(sorted(unknown))}: {', '.join(ROWS)}")
    print(f"| row | Python | {' | '.join(SHOWN)} | tests |\n|{'---|' * (len(SHOWN) + 3)}")
    for name in args.rows:
        print(row(name, args.python, args.tests), flush=True)


if __name__ == "__main__":
    main()
