"""Two workers on two cores: one thread each, before torch counts the cores.

And no test asks the network for anything.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
