"""What all tests share: JAX on two virtual CPU devices, and the real photographs where they are at hand."""

import os
from pathlib import Path

import pytest

# Read when JAX is first imported, by the tests or by the commands they start.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

_REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real photographs; the test is skipped where it is absent."""
    if not _REAL_DATA.is_dir():
        pytest.skip(f"no real photographs: {_REAL_DATA} is absent")
    return _REAL_DATA
