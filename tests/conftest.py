"""Two workers on two cores: one thread each, before torch counts the cores.

And no test asks the network for anything.
"""

import os

import hypothesis
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# no clock decides: neither an example nor the making of one is too slow on a busy machine
options = dict(
    deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# what hypothesis makes up is the same in every run, unless the soak is asked for
hypothesis.settings.register_profile("ci", max_examples=30, derandomize=True, **options)
hypothesis.settings.register_profile("soak", max_examples=2000, **options)
hypothesis.settings.load_profile("ci")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A test decodes into a cache of its own."""
    monkeypatch.setenv("MINIPI0_CACHE", str(tmp_path / "cache"))
