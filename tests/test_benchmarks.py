"""The benchmarks time what they say they time."""

import time
from pathlib import Path

import numpy as np

from benchmarks import scoring, speed
from configs.default import get_config
from splice_jax.evaluation import processes
from splice_jax.localizers import localizer


def test_the_batch_is_one_that_training_would_see():
    config = get_config()
    config.batch_size, config.patches_per_image = 24, 4
    table = speed.random_table(config)
    batch = speed.first_batch(config, table, np.zeros((6, 512), np.float32))
    assert {name: column.shape for name, column in batch.items()} == {
        "patches": (24, 64, 64, 3),
        "masks": (24, 64, 64),
        "labels": (24,),
        "image": (24,),
        "backbone": (6, 512),
        "residual_levels": (6,),
    }
    assert 0.45 < batch["masks"].mean() < 0.55
    assert batch["image"].tolist() == np.repeat(np.arange(6), 4).tolist()


def test_the_median_counts():
    pauses = iter([0.001, 0.3, 0.002])
    assert speed.median_seconds(lambda: time.sleep(next(pauses)), 3) < 0.2


def test_a_localizer_is_timed():
    row = localizer("random")
    large, small = (speed.localization_seconds(row, side, side, 3) for side in (1500, 10))
    assert large > small > 0


def test_as_many_maps_are_scored_as_are_asked_for(tmp_path: Path):
    cached = scoring.made_up_maps(tmp_path, 6, (20, 30))
    assert len({job.truth.name for job in cached.jobs}) == len(list((tmp_path / scoring.ROW).iterdir())) == 6
    with processes.executor(0) as workers:
        wall, cpu = scoring.seconds(cached, workers)
    assert wall > 0 and cpu > 0
    assert scoring.memory() > 10
