"""Which frames of other demonstrations looked like this one? And what happened next, there?

Frames are compared by what a policy sees: state and camera. Every neighbour comes from another
episode, since the frames of one episode are copies of one another.
Axes: N items, E episodes, Q queries, K neighbours, P numbers per view.
"""

import numpy as np


def views(items, camera: bool = True, parts: int = 8) -> dict[str, np.ndarray]:
    """What each item's observation was, in few numbers.

    State: z-scored. Camera: the frames at 8 by 8 pixels, and of those the `parts` leading principal
    components. Each view is scaled to a total variance of 1, so that none outweighs the other.

    items: an ActionChunks

    Returns {"state": float32[N, S], "camera": float32[N, P]}, without a camera only the first.
    """
    found = {"state": _unit(items.normal_state.numpy())}
    if camera and items.cameras:
        pictures = items.pictures[0]
        side = pictures.shape[-1] // 8
        small = np.empty((len(items), 3 * 8 * 8), np.float32)
        for first in range(0, len(items), 2000):  # the frames lie on disk: a part at a time
            rows = items.rows[first : first + 2000]
            cut = pictures[rows, :, : 8 * side, : 8 * side].reshape(-1, 3, 8, side, 8, side)
            small[first : first + 2000] = cut.mean((3, 5), dtype=np.float32).reshape(len(rows), -1)
        small -= small.mean(0)
        _, axes = np.linalg.eigh(small.T @ small)
        found["camera"] = _unit(small @ axes[:, ::-1][:, :parts])
    return found


def _unit(values: np.ndarray) -> np.ndarray:
    values = values - values.mean(0)
    return (values / max(np.sqrt(values.var(0).sum()), 1e-9)).astype(np.float32)


def nearest(
    view: np.ndarray, episode: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest items of each query, no two from one episode and none from the query's own.

    view: float32[N, P]; episode: int[N], sorted; queries: int[Q], into the items; allowed: bool[N],
    which items may be neighbours.
    Returns (items int[Q, k], distances float32[Q, k]), nearest first.
    Raises ValueError where fewer than k other episodes have an allowed item.
    """
    mine = np.flatnonzero(allowed)
    names, first = np.unique(episode[mine], return_index=True)
    if len(names) <= k:
        raise ValueError(f"{len(names)} episodes are too few for {k} neighbours from others")
    ends, others = np.append(first[1:], len(mine)), view[mine]
    squared, items, distances = (others**2).sum(1), [], []
    for some in np.array_split(queries, -(-len(queries) // 500)):
        far = (view[some] ** 2).sum(1)[:, None] + squared - 2 * view[some] @ others.T
        best = np.stack([a + far[:, a:b].argmin(1) for a, b in zip(first, ends, strict=True)], 1)
        far = np.take_along_axis(far, best, 1)  # (q, E): of each episode the nearest item
        far[episode[some, None] == names] = np.inf
        order = far.argsort(1)[:, :k]
        items.append(mine[np.take_along_axis(best, order, 1)])
        distances.append(np.sqrt(np.maximum(np.take_along_axis(far, order, 1), 0)))
    return np.concatenate(items), np.concatenate(distances)


def main_axis(futures: np.ndarray) -> np.ndarray:
    """Where each neighbour's future lies on the axis along which the K futures differ most.

    futures: float[Q, K, P] -> float[Q, K], centred. (The first principal component, per query.)
    """
    centred = futures - futures.mean(1, keepdims=True)
    size, axis = np.linalg.eigh(centred @ centred.transpose(0, 2, 1))
    return axis[:, :, -1] * np.sqrt(np.maximum(size[:, -1:], 0))


def two_groups(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut K numbers into two groups where that explains most of their variance.

    x: float[Q, K] -> (share of the variance that lies between the groups, float[Q]; which numbers
    are in the upper group, bool[Q, K]). Many Gaussian numbers: 2 / pi = 0.64; two points: 1.
    """
    k = x.shape[1]
    order = x.argsort(1)
    sorted_x = np.take_along_axis(x, order, 1)
    sorted_x = sorted_x - sorted_x.mean(1, keepdims=True)
    below, n = sorted_x.cumsum(1)[:, :-1], np.arange(1, k)
    between = below**2 / n + below**2 / (k - n)  # of the cut after n numbers
    cut = between.argmax(1)
    share = between.max(1) / np.maximum((sorted_x**2).sum(1), 1e-12)
    return share, order.argsort(1) > cut[:, None]


def gaussian_like(futures: np.ndarray, seed: int = 0) -> np.ndarray:
    """Futures with one mode: K Gaussian draws with the covariance of each query's K futures.

    futures: float[Q, K, P] -> float[Q, K, K], in the coordinates of their principal axes.
    """
    centred = futures - futures.mean(1, keepdims=True)
    size = np.linalg.eigvalsh(centred @ centred.transpose(0, 2, 1)) / futures.shape[1]
    draws = np.random.default_rng(seed).normal(size=(len(futures),) + 2 * (futures.shape[1],))
    return draws * np.sqrt(np.maximum(size, 0))[:, None]
