"""Two workers on two cores: one thread each, before torch counts the cores.

And no test asks the network for anything.
"""

import os

import hypothesis

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# what hypothesis makes up is the same in every run, unless the soak is asked for
hypothesis.settings.register_profile(
    "ci", max_examples=30, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile("soak", max_examples=2000, deadline=None, database=None)
hypothesis.settings.load_profile("ci")
