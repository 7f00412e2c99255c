"""The scores of all maps in a plan: every row, including on degraded images."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from splice_jax.evaluation.maps.degradations import Degradation
from splice_jax.evaluation.maps.make import Stage
from splice_jax.evaluation.maps.plan import Key, Plan
from splice_jax.evaluation.rows import row_name
from splice_jax.evaluation.scores import scoring
from splice_jax.evaluation.scores.image import Sums
from splice_jax.evaluation.scores.scoring import RowMaps, RowResult


class Series(NamedTuple):
    """Every row on degraded images."""

    degradation: Degradation
    rows: Mapping[Key, RowResult]


class Results(NamedTuple):
    """The scores of every row."""

    rows: Mapping[Key, RowResult]
    degraded: Sequence[Series]


def score(plan: Plan) -> Results:
    """Scores the maps of every row, including those of degraded images.

    Validation thresholds are chosen on undegraded images.
    """
    with readers(plan) as workers:
        chosen: dict[Key, Sums | None] = {}
        for key in plan.rows:
            cached = _cached(plan, plan.validation, key) if plan.validation else None
            chosen[key] = scoring.survey_row(cached, workers)[1] if cached else None
        stages = [plan.main, *plan.degraded]
        scored = [
            {key: scoring.score_row(_cached(plan, stage, key), workers, chosen[key]) for key in plan.rows}
            for stage in stages
        ]
    series = [Series(stage.degradation, rows) for stage, rows in zip(stages, scored, strict=True) if stage.degradation]
    return Results(scored[0], series)


def readers(plan: Plan) -> Executor:
    """Processes that read maps."""
    return scoring.pool(plan.main.truths, len(plan.rows) * (1 + len(plan.degraded)), plan.processes)


def _cached(plan: Plan, stage: Stage, key: Key) -> RowMaps:
    record = plan.record(stage, key)
    return RowMaps.of(stage.folder, row_name(*key), record, stage.truths, ignore_border=plan.ignore_border)
