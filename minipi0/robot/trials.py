"""Many trials in the simulator, none of them lost.

    python -m minipi0.evaluate --checkpoint DIR --tasks Wall --trials 100 --out results.json

Trial i of a task has the seed 100,000 * seed + i, for every policy: so policies meet the same
scenes and can be compared in pairs. A finished trial is in the file before the next one counts; the
same command goes on where it was stopped. A trial does not depend on the others, nor on the number
of workers: every worker computes with one thread, so that sums are added in one order.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path

import gymnasium
import torch
from tqdm.auto import tqdm

import minipi0.robot  # noqa: F401 (registers the environments)
from minipi0 import intervals
from minipi0.baselines import NOISE
from minipi0.checkpoint import open_checkpoint, without_checksums, write_atomically
from minipi0.command_line import Parser, in_words
from minipi0.robot.policy import Policy
from minipi0.robot.rollout import Trial, contact_sheet, rollout, write_video

APART = 100_000  # between the seeds of --seed 0 and --seed 1: most trials of a task


@dataclass(frozen=True)
class Setting:
    """What acts, and where; all that an outcome depends on beside task and seed.

    checkpoint: a folder or a Hub repo id. revision: of that repository.
    steps … ensemble: as of `Policy`. prompt: said instead of the tasks' own instructions.
    environment: options for `gymnasium.make`. data_set: as of `Policy`.
    """

    checkpoint: str
    steps: int = 10
    execute: int = 8
    delay: int = 0
    real_time: bool = False
    ensemble: float | None = None
    prompt: str | None = None
    environment: dict = field(default_factory=dict)
    revision: str | None = None
    data_set: str | None = None

    def policy(self) -> Policy:
        names = ("steps", "execute", "delay", "real_time", "ensemble", "revision", "data_set")
        return Policy.from_pretrained(self.checkpoint, **{n: getattr(self, n) for n in names})

    def make(self, task: str, image_size: int) -> gymnasium.Env:
        options = {"image_size": image_size, "pictures": False} | self.environment
        return gymnasium.make(f"minipi0/{task}-v0", disable_env_checker=True, **options)

    def identity(self) -> dict:
        """Plain values, the same for the same weights wherever they lie."""
        source = open_checkpoint(self.checkpoint, self.revision)
        files = [*sorted(source.versions), source.folder / NOISE]
        weights = hashlib.sha256()
        for file in files:
            if file.exists():
                weights.update(without_checksums(file))
        return {"weights": weights.hexdigest()[:16]} | {
            name: value
            for name, value in asdict(self).items()
            if name not in ("checkpoint", "revision") and (name, value) != ("data_set", None)
        }


def tasks() -> list[str]:
    """The names of the environments that there are: "Wall", …"""
    ids = [name for name in gymnasium.registry if name.startswith("minipi0/")]
    return [name.removeprefix("minipi0/").removesuffix("-v0") for name in ids]


def task_named(name: str) -> str:
    """The task that is meant: "wall-left" is "WallLeft". Raises ValueError for an unknown one."""
    known = {_plain(task): task for task in tasks()}
    if _plain(name) not in known:
        raise ValueError(f"there is no task {name!r}; there are {', '.join(tasks())}")
    return known[_plain(name)]


def run(
    setting: Setting,
    names: list[str],
    trials: int = 100,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    workers: int = 1,
    video: str | Path | None = None,
    sheets: str | Path | None = None,
    progress: bool = True,
) -> list[Trial]:
    """Run `trials` trials of every task, or those that `out` does not hold yet.

    names: of tasks. seed: which hundred thousand of scenes. out: a JSON file for the outcomes.
    workers: processes side by side; each holds a model and a simulator.
    video, sheets: folders for an MP4, or a contact sheet, of every trial run now.
    Returns all trials, task by task. Raises ValueError where `out` holds results of other options.
    """
    if not 1 <= trials <= APART:
        raise ValueError(f"trials must lie between 1 and {APART}, not {trials}")
    names = [task_named(name) for name in names]
    options = setting.identity() | {"seed": seed}
    out = None if out is None else Path(out).expanduser()
    done = {} if out is None else _read(out, options)
    wanted = [(name, APART * seed + i) for name in names for i in range(trials)]
    missing = [job for job in wanted if job not in done]
    films = [folder and str(Path(folder).expanduser()) for folder in (video, sheets)]
    for folder in films:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
    bar = tqdm(total=len(wanted), initial=len(wanted) - len(missing), unit="trial")
    bar.disable |= not progress
    with bar, contextlib.closing(_outcomes(setting, missing, films, workers)) as outcomes:
        for trial in outcomes:
            done[trial.task, trial.seed] = trial
            if out is not None:
                write(out, setting, options, done.values())
            bar.update()
            bar.set_postfix(success=f"{sum(t.success for t in done.values())}/{len(done)}")
    if out is not None and not missing:
        write(out, setting, options, done.values())
    return [done[job] for job in wanted]


def write(out: str | Path, setting: Setting, options: dict, trials) -> None:
    """The results file: {"checkpoint", "options", "summary", "trials"}, in one step."""
    ordered = sorted(trials, key=lambda trial: (trial.task, trial.seed))
    content = {
        "checkpoint": setting.checkpoint,
        "options": options,
        "summary": summary(ordered),
        "trials": [trial.outcome() for trial in ordered],
    }
    lines = json.dumps(content, indent=1)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(out), lambda path: path.write_text(lines + "\n"))


def read(file: str | Path) -> list[Trial]:
    """The trials of a results file. Raises ValueError for a file that is none."""
    return list(_read(Path(file).expanduser(), None).values())


def summary(trials: list[Trial]) -> dict[str, dict]:
    """Counts, rate and intervals of every task, and of all together."""
    by_task: dict[str, list[Trial]] = {}
    for trial in trials:
        by_task.setdefault(trial.task, []).append(trial)
    if len(by_task) > 1:
        by_task["all"] = list(trials)
    return {task: _summary(found) for task, found in by_task.items()}


def table(trials: list[Trial]) -> str:
    """What `summary` says, as lines to print."""
    head = (
        f"{'task':<24}{'success':>10}{'rate':>7}   95 % Wilson    exact        touched  left:right"
    )
    lines = [head]
    for task, row in summary(trials).items():
        (a, b), (c, d) = row["wilson"], row["exact"]
        lines.append(
            f"{task:<24}{row['successes']:>5}/{row['trials']:<4}{row['rate']:>7.1%}"
            f"   {a:.3f}–{b:.3f}   {c:.3f}–{d:.3f}   {row['touched']:>5}"
            f"    {row['left']:>4}:{row['right']}"
        )
    return "\n".join(lines)


# ---- running -----------------------------------------------------------------------------------


def _outcomes(setting: Setting, jobs: list, films: list, workers: int) -> Iterator[Trial]:
    """Every job's trial, in the order in which they end."""
    if not jobs:
        return
    if workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        worker = Worker(setting, films)
        try:
            for job in jobs:
                yield worker(job)
        finally:
            worker.close()
            torch.set_num_threads(threads)
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that start now
    spawn = multiprocessing.get_context("spawn")  # a forked process shares an OpenGL context
    pool = ProcessPoolExecutor(min(workers, len(jobs)), spawn, _begin, (setting, films))
    try:
        for future in as_completed([pool.submit(_work, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


class Worker:
    """A policy, and an environment of every task that came up."""

    def __init__(self, setting: Setting, films: list):
        self.setting, self.films = setting, films
        self.policy, self.envs = setting.policy(), {}

    def __call__(self, job: tuple[str, int]) -> Trial:
        task, seed = job
        if task not in self.envs:
            size = self.policy.config.vision.image_size
            self.envs[task] = self.setting.make(task, size)
        picture = film_camera if any(self.films) else None
        options = dict(task=task, prompt=self.setting.prompt, picture=picture)
        trial = rollout(self.envs[task], self.policy, seed, **options)
        video, sheets = self.films
        if video:
            write_video(trial.recording.pictures, Path(video) / f"{task}-{seed}.mp4")
        if sheets:
            file = Path(sheets) / f"{task}-{seed}.png"
            contact_sheet(trial.recording.pictures).save(file)
        return Trial(**trial.outcome())

    def close(self) -> None:
        for env in self.envs.values():
            env.close()


def film_camera(env: gymnasium.Env):
    """The picture that a film shows: the fixed camera's, 256 pixels a side."""
    return env.unwrapped.render("front", 256)


_worker: Worker | None = None  # of this process


def _begin(setting: Setting, films: list) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = Worker(setting, films)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _work(job: tuple[str, int]) -> Trial:
    return _worker(job)


# ---- files -------------------------------------------------------------------------------------


def _read(file: Path, options: dict | None) -> dict[tuple[str, int], Trial]:
    """The file's trials by task and seed; none where there is no file and `options` are given."""
    if options is not None and not file.exists():
        return {}
    try:
        content = json.loads(file.read_text())
        there = content["options"]
        found = [Trial(**values) for values in content["trials"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} holds no results of this command: {error!r}") from None
    if options is not None:
        now = json.loads(json.dumps(options))
        other = [k for k in now | there if now.get(k) != there.get(k)]
        if other:
            differ = "; ".join(f"{k}: {there.get(k)} there, {now.get(k)} now" for k in other)
            raise ValueError(f"{file} holds results of other options: {differ}. Name another file")
    return {(trial.task, trial.seed): trial for trial in found}


def _summary(trials: list[Trial]) -> dict:
    n, successes = len(trials), sum(trial.success for trial in trials)
    wilson, exact = (intervals.success_interval(successes, n, m)[1:] for m in ("wilson", "exact"))
    return {
        "trials": n,
        "successes": successes,
        "rate": successes / n,
        "wilson": list(wilson),
        "exact": list(exact),
        "touched": sum(trial.touched for trial in trials),
        "left": sum(trial.side == -1 for trial in trials),
        "right": sum(trial.side == 1 for trial in trials),
        "mean_frames": sum(trial.frames for trial in trials) / n,
    }


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _option(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


# ---- command line ------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """python -m minipi0.evaluate"""
    parser = Parser(
        prog="python -m minipi0.evaluate",
        description="How often does a policy succeed in the simulator?",
        epilog=f"Tasks: {', '.join(tasks())}",
    )
    add = parser.add_argument
    add("--checkpoint", required=True, help="a folder, or a Hugging Face repo id")
    add("--revision", help="branch, tag or commit of that repository")
    add("--data-set", help="of a model trained on several: the one of these tasks")
    add("--tasks", required=True, help="names, separated by commas, or all")
    add("--trials", type=int, default=100, help="of each task (%(default)s)")
    add("--seed", type=int, default=0, help="which scenes; no two seeds share one")
    add("--out", type=Path, required=True, help="JSON; if it is there, the rest is run")
    add("--steps", type=int, default=10, help="Euler steps (%(default)s)")
    add("--execute", type=int, default=8, help="actions of a chunk (%(default)s)")
    add("--delay", type=int, default=0, help="control steps until a chunk arrives (%(default)s)")
    add("--real-time", action="store_true", help="let a chunk continue the last one")
    add("--ensemble", type=float, help="mean of overlapping chunks; the decay, ACT's is 0.01")
    add("--prompt", help="say this instead of the task's own instruction")
    add("--set", nargs="*", default=[], type=_option, metavar="NAME=VALUE", help="of the scene")
    add("--workers", type=int, default=1, help="processes side by side (%(default)s)")
    add("--baseline-checkpoint", help="run this one on the same scenes, and compare")
    add("--compare", type=Path, help="compare with these results of the same scenes")
    add("--video", type=Path, help="a folder: an MP4 of every trial")
    add("--sheets", type=Path, help="a folder: eight pictures of every trial")
    args = parser.parse_args(arguments)

    names = tasks() if args.tasks == "all" else args.tasks.split(",")
    given = {name: getattr(args, name) for name in ("steps", "execute", "delay", "real_time")}
    given |= dict(ensemble=args.ensemble, prompt=args.prompt, environment=dict(args.set))
    options = dict(workers=args.workers, video=args.video, sheets=args.sheets)
    found: list[list[Trial]] = []
    runs = [(args.checkpoint, args.out)]
    if args.baseline_checkpoint:
        beside = args.out.with_suffix(f".baseline{args.out.suffix}")
        runs.append((args.baseline_checkpoint, beside))
    try:
        for checkpoint, out in runs:
            own = {"revision": args.revision, "data_set": args.data_set}
            own = own if checkpoint == args.checkpoint else {}
            setting = Setting(checkpoint, **given, **own)
            found.append(run(setting, names, args.trials, args.seed, out=out, **options))
            print(f"{checkpoint}\n{table(found[-1])}")
        if args.compare:
            found.append(read(args.compare))
    except (KeyboardInterrupt, BrokenProcessPool) as error:
        why = "stopped" if isinstance(error, KeyboardInterrupt) else "a worker was killed (memory?)"
        print(f"{why}; what is finished is in {args.out}, and the same command goes on")
        raise SystemExit(1) from None
    except (ValueError, OSError) as error:  # also a repository that cannot be fetched
        parser.error(in_words(str(error), args))
    for other in found[1:]:
        c = intervals.compare(found[0], other)
        print(
            f"difference on the same {c.n} scenes: {c.difference:+.3f} "
            f"(95 % interval {c.low:+.3f} … {c.high:+.3f}, McNemar p = {c.p:.2g}); "
            f"only the first succeeds {c.only_a} times, only the second {c.only_b}"
        )


if __name__ == "__main__":
    main()
