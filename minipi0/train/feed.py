"""The next batch is made while the step runs."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor


def ahead(make: Callable[[int], tuple], steps: range) -> Iterator[tuple]:
    """(step, make(step)) for every step, in order; a thread makes one while the caller has another.

    make: a function of the step alone, which what the caller does in the meantime cannot change.
    What it raises is raised here when its step comes, so all steps before are done.
    """
    with ThreadPoolExecutor(1, "next-batch") as thread:
        coming = thread.submit(make, steps[0]) if steps else None
        for step in steps:
            made = coming.result()
            if step + 1 in steps:
                coming = thread.submit(make, step + 1)
            yield step, made
