"""Times whole commands from their start: time to the first result, time per image, and memory."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Timed(NamedTuple):
    """A command that has run: its seconds, those until its first map, the most megabytes, and what it printed."""

    seconds: float
    first_map: float
    megabytes: float
    output: str


def run(*command: str, cache: Path, maps: Path | None = None) -> Timed:
    """Runs a Python command in the project's folder, with a cache of its own, watching a folder for its first map.

    Raises:
      RuntimeError: it failed; with what it printed.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION")}
    environment["XDG_CACHE_HOME"] = str(cache)
    start, first_map = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=printed, stderr=subprocess.STDOUT
        )
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if maps and not first_map and any(maps.rglob("*.png")):
                first_map = time.perf_counter() - start
            if ended:
                process.returncode = os.waitstatus_to_exitcode(status)  # Popen has not seen it end.
                break
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        printed.seek(0)
        output = printed.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output}")
    return Timed(seconds, first_map, usage.ru_maxrss / 1024, output)


def evaluation(folder: Path) -> dict[str, float]:
    """Trains for two steps on synthetic images and evaluates, each twice; seconds, if not megabytes.

    Evaluation finds the prepared data, but not the programs compiled by validation during training.
    """
    cache, workdirs = folder / "cache", (folder / "first", folder / "second")
    steps = ("--config.num_steps=2", "--config.validate_every=2", "--config.validation_images=1")
    demo = ("train.py", "--config=configs/demo.py", *steps)
    trained = [run(*demo, f"--workdir={workdir}", cache=cache) for workdir in workdirs]
    shutil.rmtree(cache / "splice_jax" / "compiled")
    scored = [run("evaluate.py", f"--workdir={workdir}", cache=cache, maps=workdir) for workdir in workdirs]
    rescored = run("evaluate.py", f"--workdir={workdirs[0]}", "--config.rescore", cache=cache)
    image, maps = _image(folder), folder / "maps"
    main = "from splice_jax.cli import main; main()"
    one = run("-c", main, "localize", str(image), f"--workdir={workdirs[0]}", f"--output={maps}", cache=cache)
    images = int(re.findall(r"over (\d+) spliced images", scored[1].output)[0])
    return {
        "train.py, 2 steps, data prepared and all compiled": trained[0].seconds,
        "train.py, 2 steps, the second start": trained[1].seconds,
        "evaluate.py, to its first map, nothing compiled": scored[0].first_map,
        "evaluate.py, to its first map, the second start": scored[1].first_map,
        "evaluate.py, per image, the second start": (scored[1].seconds - scored[1].first_map) / images,
        "evaluate.py --config.rescore, per image": rescored.seconds / images,
        "splice-jax localize, an image of 0.4 megapixels": one.seconds,
        "evaluate.py, megabytes": scored[1].megabytes,
        "train.py, megabytes": trained[1].megabytes,
    }


def _image(folder: Path) -> Path:
    from benchmarks.contestants import noise
    from splice_jax.images import encode_png

    path = folder / "noise.png"
    path.write_bytes(encode_png(noise(568, 757)))
    return path
