"""Only steps that are the same in every part share a program."""

from typing import Any

import numpy as np

from splice_jax.training.optimizer import make_optimizer, step_schedule
from tests.compiling import meaning


def test_functions_mean_the_same_where_code_and_values_do():
    def made(drop: int = 5, factor: float = 0.1, **changes: Any) -> Any:
        return meaning(make_optimizer(step_schedule(0.1, [drop], factor, 0), **changes))

    assert made() == made() and hash(made()) == hash(made())
    others = [made(drop=6), made(factor=0.2), made(kind="sgd"), made(weight_decay=0.1), made(frozen={"resnet"})]
    assert len({made(), *others}) == 6


def test_arrays_are_compared_by_content_and_what_is_unknown_by_identity():
    table = np.zeros(3)
    assert meaning([table, {"a": 1}]) == meaning([table.copy(), {"a": 1}]) != meaning([table + 1, {"a": 1}])
    assert meaning(1) != meaning(1.0) and meaning([1]) != meaning((1,))
    first, second = bytearray(b"1"), bytearray(b"1")
    assert meaning(first) == meaning(first) != meaning(second)
