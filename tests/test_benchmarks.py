"""The benchmarks time what they say they time."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bulk, commands, contestants, kernels, processes, scoring, speed, suite
from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_image
from splice_jax.methods import localizer
from splice_jax.runs.builtin.default import get_config
from splice_jax.workers import executor


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
    large, small = (
        speed.median_seconds(functools.partial(row, contestants.noise(side, side)), 3) for side in (1500, 10)
    )
    assert large > small > 0


def test_a_ratio_is_taken_round_by_round():
    assert suite._ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0]) == (1.0, 2.0, 3.0)


def test_the_loader_serves_a_table_that_takes_no_room(tmp_path: Path):
    config = get_config()
    config.batch_size, config.patches_per_image = 16, 8
    table = speed.sparse_table(tmp_path, 4096, 8)
    assert table.patches.shape == (4096, 64, 64, 3) and len(table.thumbnails) == 512
    assert sum(path.stat().st_blocks for path in tmp_path.iterdir()) * 512 < 2**20
    assert speed.loading_rate(config, table, 2) > 0
    config.hidden_size, config.num_layers, config.global_network = 64, 1, "none"
    config.num_steps = 3
    assert speed.training_rate(config, table, 1) > 0


def test_a_command_is_timed_to_its_end_and_to_its_first_map(tmp_path: Path):
    write = "import pathlib, sys, time; pathlib.Path(sys.argv[1], 'a.png').touch(); time.sleep(0.5); print('done')"
    timed = commands.run("-c", write, str(tmp_path), cache=tmp_path, maps=tmp_path)
    assert 0 < timed.first_map < timed.seconds
    assert timed.seconds > 0.5 and timed.megabytes > 1 and timed.output == "done\n"
    with pytest.raises(RuntimeError, match="no such thing"):
        commands.run("-c", "raise SystemExit('no such thing')", cache=tmp_path)


def test_as_many_maps_are_scored_as_are_asked_for(tmp_path: Path):
    cached = scoring.made_up_maps(tmp_path, 6, (20, 30))
    assert len({job.truth.name for job in cached.jobs}) == len(list((tmp_path / scoring.ROW).iterdir())) == 6
    with executor(0) as workers:
        wall, cpu = scoring.seconds(cached, workers)
    assert wall > 0 and cpu > 0
    assert scoring.memory() > 10


def test_crops_are_photographs_but_for_the_bad_ones(tmp_path: Path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "a.png").write_bytes(encode_png(contestants.noise(260, 300)))
    bad = ["00050.jpg", "00150.jpg", "00250.jpg", "00350.jpg"]
    crops = bulk.make_crops(tmp_path / "photographs", tmp_path / "crops", 360)
    assert len(set(crops.names)) == 360 and sorted(map(os.path.basename, crops.bad)) == bad
    assert read_image(crops.names[0]).shape == (256, 256, 3)
    for path in sorted(crops.bad):
        with pytest.raises(UserError):
            read_image(path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "crops").iterdir()}
    assert len(before) == 359
    crops.names[7].unlink()
    assert bulk.make_crops(tmp_path / "photographs", tmp_path / "crops", 360) == crops
    changed = {path for path in (tmp_path / "crops").iterdir() if before.get(path) != path.stat().st_mtime_ns}
    assert changed == {crops.names[7]}


def test_a_bulk_benchmark_goes_on_with_the_same_settings_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    stages = bulk.Stages(tmp_path, {"images": "9"})
    stages.keep("pool", kills=1)
    assert not bulk.Stages(tmp_path, {"images": "9"}).told("pool")
    stages.keep("pool", said="pool: 2 kills")
    later = bulk.Stages(tmp_path, {"images": "9"})
    assert later.told("pool") and later.of("pool")["kills"] == 1 and not later.told("ray")
    assert capsys.readouterr().out == "pool: 2 kills\npool: 2 kills (earlier)\n"
    with pytest.raises(UserError, match="holds a benchmark with {'images': '9'}; choose a new folder"):
        bulk.Stages(tmp_path, {"images": "8"})


def test_the_memory_of_all_processes_below_is_counted():
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        while not (below := processes.below(parent.pid)) and parent.poll() is None:
            time.sleep(0.01)
        assert below and {parent.pid, *below} <= set(processes.below(os.getpid()))
        assert all(processes.megabytes(process) > 0 for process in [parent.pid, *below])
        for process in below:
            os.kill(process, signal.SIGKILL)


HLO = """HloModule jit_step

%fused (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %inner = f32[2]{0} negate(%p), metadata={op_name="jit(step)/transpose(jvp(Net))/mask_head/neg"}
}

%body (q: f32[2]) -> f32[2] {
  %q = f32[2]{0} parameter(0)
  ROOT %nameless = f32[2]{0} add(%q, %q)
}

ENTRY %main (a: f32[2]) -> f32[2] {
  %a = f32[2]{0} parameter(0)
  %wrapped = f32[2]{0} fusion(%a), kind=kLoop, calls=%fused
  %loop = f32[2]{0} while(%wrapped), condition=%never, body=%body, metadata={op_name="jit(step)/Net/lstm/while"}
  %sum = f32[2]{0} all-reduce(%loop), metadata={op_name="jit(step)/psum"}
  ROOT %last = f32[2]{0} multiply(%sum, %sum), metadata={op_name="jit(step)/mul"}
}
"""


def test_a_kernel_belongs_to_what_it_is_named_after_or_else_to_what_is_in_it_or_around_it():
    parts = kernels._parts(HLO)
    assert parts["wrapped"] == "mask head, back"
    assert parts["nameless"] == "LSTM, forward"
    assert parts["sum"] == kernels.SUMS
    assert parts["last"] == kernels.REST
    assert "loop" not in parts


def test_the_devices_time_is_told_by_part():
    config = get_config()
    config.hidden_size, config.num_layers, config.global_network = 64, 1, "none"
    config.batch_size, config.patches_per_image = 16, 8
    found = speed.kernels(config)
    for part in ("LSTM", "mask head", "narrow convolutions", "label head"):
        assert found[f"{part}, forward"] > 0 and found[f"{part}, back"] > 0
    assert not any(part.startswith("image's half") for part in found)
