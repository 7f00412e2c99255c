"""The estimate of a JPEG's quality."""

import pytest

from splice_jax.examination.file.jpeg_structure import read_structure
from splice_jax.examination.file.quality import estimate
from tests.examination.samples import jpeg, scene


@pytest.mark.parametrize("quality", [1, 10, 30, 49, 50, 51, 75, 90, 97])
def test_the_standards_tables_are_recognised_at_every_quality(quality: int) -> None:
    found = read_structure(jpeg(scene(32, 32), quality=quality))
    assert found is not None
    assert estimate(found.tables[0]) == (quality, True)
    assert estimate(found.tables[1], chroma=True) == (quality, True)


def test_another_table_gets_the_nearest_quality() -> None:
    found = read_structure(jpeg(scene(32, 32), quality=80))
    assert found is not None
    table = [list(line) for line in found.tables[0]]
    table[0][0] += 1
    quality, exact = estimate(tuple(map(tuple, table)))
    assert abs(quality - 80) <= 1 and not exact


def test_a_table_of_zeros_is_no_error() -> None:
    assert estimate(((0,) * 8,) * 8).quality == 100
