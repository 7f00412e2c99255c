"""A job on a Ray cluster does what one on processes does; without Ray, a line says what to install."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from splice_jax import errors
from splice_jax.bulk.manifest import gather
from splice_jax.cli import main
from splice_jax.errors import UserError
from tests.bulk.makers import Obey
from tests.bulk.test_engine import ROOT, job, write

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra [ray] is not installed")

JOB = """
import functools, signal, sys
from pathlib import Path
from ray.cluster_utils import Cluster as Nodes
from splice_jax.bulk import cluster, engine
from splice_jax.bulk.inputs import in_list
from tests.bulk.makers import Obey

class Losing(cluster.Cluster):
    heard = 0

    def receive(self):
        self.heard += 1
        if self.heard == 6:
            nodes.remove_node(second, allow_graceful=False)
        return super().receive()

nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
second = nodes.add_node(num_cpus=1)
before = signal.getsignal(signal.SIGTERM)
hire = functools.partial(Losing, address=nodes.address)
late = functools.partial(cluster.Cluster, address=nodes.address, workers=1, seconds=5)
try:
    print(*engine.run(in_list(sys.argv[1]), Path(sys.argv[2]), Obey(), hire))
    assert signal.getsignal(signal.SIGTERM) is before
    print(*engine.run(in_list(sys.argv[3]), Path(sys.argv[4]), Obey(), late))
finally:
    nodes.shutdown()
"""


@needs_ray
def test_on_two_nodes_of_which_one_is_lost_it_is_the_same(tmp_path):
    words = {f"{number:02d}": "slow" for number in range(12)} | {"bad": "bad", "blank": "blank"}
    names = write(tmp_path / "in", **words)
    (tmp_path / "list").write_text("\n".join(names))
    late = write(tmp_path / "in", hanging="hang", last="good")
    (tmp_path / "late").write_text("\n".join(late))
    (tmp_path / "job.py").write_text(JOB)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    paths = [tmp_path / name for name in ("job.py", "list", "ray", "late", "hung")]
    done = subprocess.run([sys.executable, *paths], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert {"12 1 1", "1 1 0"} <= set(done.stdout.splitlines())
    assert gather(tmp_path / "hung")[late[0]]["reason"].startswith("was not done after 5 s; ")
    assert job(names, tmp_path / "pool", workers=2) == (12, 1, 1)
    assert contents(tmp_path / "ray") == contents(tmp_path / "pool")


def contents(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*.txt")}


@needs_ray
def test_where_there_is_no_cluster_one_line_says_so(tmp_path):
    from splice_jax.bulk.cluster import Cluster

    with pytest.raises(UserError, match=r"^--ray: no cluster at 127\.0\.0\.1:1 \(.*start one by ray start$"):
        Cluster(Obey(), tmp_path, address="127.0.0.1:1")


@needs_ray
def test_one_that_takes_the_place_of_a_worker_that_hung_for_long_has_time_to_load(monkeypatch):
    from splice_jax.bulk import cluster

    monkeypatch.setattr(cluster.ray, "wait", lambda answers, **_: ([], answers))
    crew: Any = object.__new__(cluster.Cluster)
    crew._spec, crew._heard, crew._remote = (b"", ""), time.monotonic() - 2 * cluster._PATIENCE, MagicMock()
    crew._workers = [crew._instead_of(None)]
    assert list(crew._hear()) == []
    crew._heard -= 2 * cluster._PATIENCE
    with pytest.raises(UserError, match="--ray: the cluster had no room for a worker"):
        list(crew._hear())


def test_without_ray_one_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["ray>=2.40; extra == 'ray'"])
    monkeypatch.setattr(errors, "_is_installed", lambda package: package != "ray")
    with pytest.raises(SystemExit, match="2"):
        main(["localize", "--from-list=list", "--ray", f"--output={tmp_path / 'out'}"])
    said = capsys.readouterr().err
    assert said == 'error: ray: not installed, but needed here; install by: pip install "splice_jax[ray]"\n'
    assert not (tmp_path / "out").exists()
