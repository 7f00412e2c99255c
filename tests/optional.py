"""What a test needs that is not installed everywhere."""

import importlib.util

import pytest

HAS_PYDENSECRF = importlib.util.find_spec("pydensecrf") is not None
needs_pydensecrf = pytest.mark.skipif(not HAS_PYDENSECRF, reason="the extra [pydensecrf] is not installed")
