"""Plan a comparison: two rates, trials, a correlation, and what they will show (notebook 11)."""

import traitlets

from minipi0.widgets.base import Canvas, browser_code


class TrialPlanner(Canvas):
    """Move two success rates, the trials and the correlation: what they will show follows.

    `w = TrialPlanner(p1=0.9, p2=0.8, n=10)`. The numbers are those of minipi0/planning.py. The
    static twin is plots.how_many_trials.plan.

    Traits, to read and to set: p1, p2 (0.01 to 0.99), n (5 to 1000), correlation (0 to 0.9; where
    two such policies cannot be that alike, the highest possible one is used).
    Raises traitlets.TraitError for other values.
    """

    _esm = browser_code("canvas.js", "binomial.js", "trial_planner.js")
    p1 = traitlets.Float(0.9, min=0.01, max=0.99).tag(sync=True)
    p2 = traitlets.Float(0.8, min=0.01, max=0.99).tag(sync=True)
    n = traitlets.Int(10, min=5, max=1000).tag(sync=True)
    correlation = traitlets.Float(0.0, min=0.0, max=0.9).tag(sync=True)
