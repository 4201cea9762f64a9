"""How many trials does a comparison of two policies need, and what does luck do to it?

Two policies meet the same n starts. At each start one of four things happens: both succeed, only
the first, only the second, neither. `correlation` is that of the two successes over the starts: 0
for starts of their own, above 0 where a hard start is hard for both.

The normal approximations are those of Connor (Biometrics 43, 1987) for McNemar's test. At
correlation 0 they are the usual ones for two independent rates.
"""

import math

import numpy as np
from scipy import stats


def joint(p1: float, p2: float, correlation: float = 0.0) -> tuple[float, float, float, float]:
    """Probabilities of (both succeed, only the first, only the second, neither) at a start.

    p1, p2: success rates. Raises ValueError for a rate outside [0, 1], and for a correlation that
    no two such policies can have.
    """
    for name, p in (("p1", p1), ("p2", p2)):
        if not 0 <= p <= 1:
            raise ValueError(f"{name} must be a rate between 0 and 1, not {p}")
    both = p1 * p2 + correlation * math.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
    if not max(0, p1 + p2 - 1) - 1e-12 <= both <= min(p1, p2) + 1e-12:
        low, high = correlations(p1, p2)
        raise ValueError(
            f"rates {p1:g} and {p2:g} cannot have correlation {correlation:g}: "
            f"it lies between {low:.2f} and {high:.2f}"
        )
    both = min(max(both, p1 + p2 - 1, 0.0), p1, p2)
    return both, p1 - both, p2 - both, max(1 - p1 - p2 + both, 0.0)


def correlations(p1: float, p2: float) -> tuple[float, float]:
    """The lowest and the highest correlation that successes with these rates can have.

    Returns (0, 0) where a rate is 0 or 1.
    """
    scale = math.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
    if scale == 0:
        return 0.0, 0.0
    return (max(0, p1 + p2 - 1) - p1 * p2) / scale, (min(p1, p2) - p1 * p2) / scale


def who_wins(p1: float, p2: float, n: int, correlation: float = 0.0) -> tuple[float, float, float]:
    """How often the first policy has more successes in n trials each, as many, fewer.

    Only starts where one succeeds and the other fails decide. Their number is binomial, and so is
    who wins how many of them. Returns three probabilities, exact.
    """
    _, first, second, _ = joint(p1, p2, correlation)
    decided = first + second
    if decided == 0:
        return 0.0, 1.0, 0.0
    m = np.arange(n + 1)  # starts that decide
    chance, share = stats.binom.pmf(m, n, decided), first / decided
    ahead = (chance * stats.binom.sf(m // 2, m, share)).sum()
    behind = (chance * stats.binom.cdf((m + 1) // 2 - 1, m, share)).sum()
    return float(ahead), float(max(1 - ahead - behind, 0)), float(behind)


def half_width(
    p1: float, p2: float, n: int, correlation: float = 0.0, level: float = 0.95
) -> float:
    """About half the width of the interval of the difference p1 - p2 after n trials each."""
    _, first, second, _ = joint(p1, p2, correlation)
    return _z(level) * math.sqrt((first + second - (p1 - p2) ** 2) / n)


def power(p1: float, p2: float, n: int, correlation: float = 0.0, level: float = 0.95) -> float:
    """About how often n trials each will find that p1 and p2 differ.

    The test is McNemar's, two-sided, at 1 - level.
    """
    _, first, second, _ = joint(p1, p2, correlation)
    decided, difference = first + second, abs(p1 - p2)
    spread = math.sqrt(max(decided - difference**2, 0))
    short = _z(level) * math.sqrt(decided) - difference * math.sqrt(n)  # what luck has to add
    if spread == 0:  # the same outcome at every start, or opposite ones
        return float(short < 0) if difference else 1 - level
    return float(stats.norm.sf(short / spread))


def needed(
    p1: float, p2: float, correlation: float = 0.0, power: float = 0.8, level: float = 0.95
) -> int:
    """About how many trials each find the difference of p1 and p2 with the given power.

    Raises ValueError for equal rates.
    """
    _, first, second, _ = joint(p1, p2, correlation)
    decided, difference = first + second, abs(p1 - p2)
    if difference == 0:
        raise ValueError("equal policies: no number of trials finds a difference that is not there")
    spread = math.sqrt(max(decided - difference**2, 0))
    root = (_z(level) * math.sqrt(decided) + stats.norm.ppf(power) * spread) / difference
    return math.ceil(root**2)


def _z(level: float) -> float:
    return float(stats.norm.ppf((1 + level) / 2))
