"""The registry of rows, and the two rows that look at nothing."""

import subprocess
import sys

import numpy as np
import pytest

import splice_jax
from splice_jax.errors import UserError
from splice_jax.methods import localizer, names, register
from splice_jax.methods.trivial import Random

IMAGE = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)


def test_rows_are_found_by_name_with_their_options():
    assert {"all_spliced", "random"} <= set(names())
    assert isinstance(splice_jax.localizer("random", seed=3), Random)
    assert splice_jax.localizer is localizer


def test_an_unknown_row_is_the_users_mistake():
    with pytest.raises(UserError, match="'all_splice' is not known: did you mean 'all_spliced'"):
        localizer("all_splice")
    with pytest.raises(UserError, match="'xyz' is not known: choose from .*all_spliced"):
        localizer("xyz")


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="already registered"):
        register("random")(Random)


def test_all_spliced_is_everywhere_1():
    found = localizer("all_spliced")(IMAGE)
    assert found.probability.dtype == np.float32
    assert found.mask.dtype == bool
    np.testing.assert_array_equal(found.probability, np.ones((30, 50)))
    assert found.mask.all()
    assert found.label_probability is None


def test_random_is_uniform_and_bound_to_seed_and_image():
    large = np.zeros((400, 500, 3), np.uint8)
    found = localizer("random")(large)
    deciles = np.histogram(found.probability, bins=10, range=(0, 1))[0] / found.probability.size
    np.testing.assert_allclose(deciles, 0.1, atol=0.005)
    np.testing.assert_array_equal(found.mask, found.probability >= 0.5)
    np.testing.assert_array_equal(found.probability, localizer("random")(large).probability)
    assert (found.probability != localizer("random", seed=1)(large).probability).any()
    assert (found.probability != localizer("random")(large + 1).probability).any()


def test_import_is_cheap():
    code = "import sys, splice_jax; splice_jax.localizer('random'); print({'jax', 'flax', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'localise'"):
        splice_jax.localise  # noqa: B018
