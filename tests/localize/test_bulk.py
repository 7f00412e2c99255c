"""What a bulk job makes of an image is what the single command makes of it."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.bulk.manifest import gather
from splice_jax.bulk.tasks import DONE, SKIPPED
from splice_jax.errors import UserError
from splice_jax.files import Unwritable
from splice_jax.images import encode_png
from splice_jax.localize import Localize, choose_rows, find_images, load_rows, localize_files
from splice_jax.localize.bulk import made_by
from splice_jax.weights.packaged import FILE

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
PNG = encode_png(PIXELS)


def jpeg(quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_the_results_and_figures_are_those_of_the_single_command(tmp_path):
    rows = choose_rows(None, "noi1,ela,cfa1")
    content, image = jpeg(70), tmp_path / "a.jpg"
    image.write_bytes(content)
    make = Localize(rows, raw=True).load()
    made = make(content, str(image), tmp_path / "bulk" / "a")
    assert made.status == DONE and list(made.found) == ["noi1", "ela", "cfa1"]
    images = find_images([image], tmp_path / "single", infixes=rows.infixes)
    localize_files(images, tmp_path / "single", load_rows(rows, None), raw=True)
    files = sorted(path.name for path in (tmp_path / "bulk").iterdir())
    assert len(files) == 12 and [*files, "summary.csv"] == sorted(path.name for path in (tmp_path / "single").iterdir())
    for name in files:
        assert (tmp_path / "bulk" / name).read_bytes() == (tmp_path / "single" / name).read_bytes()
    lines = (tmp_path / "single" / "summary.csv").read_text().splitlines()[1:]
    shares = [str(found["marked_share"]) for found in made.found.values()]
    assert shares == [line.split(",")[6] for line in lines]


def test_what_no_row_can_judge_is_skipped_and_what_cannot_be_read_or_written_raises(tmp_path):
    make = Localize(choose_rows(None, "adq1")).load()
    made = make(PNG, "a.png", tmp_path / "a")
    assert made.status == SKIPPED and made.reason.startswith("row adq1: ") and not made.found
    two = Localize(choose_rows(None, "adq1,ela")).load()(PNG, "a.png", tmp_path / "a")
    assert two.status == DONE and "row adq1: " in two.reason and list(two.found) == ["ela"]
    with pytest.raises(UserError, match=r"a\.png: broken or truncated"):
        make(PNG[:-400], "a.png", tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable):
        Localize(choose_rows(None, "ela")).load()(PNG, "a.png", tmp_path / "file" / "a")


def test_a_job_is_described_by_what_its_results_depend_on(tmp_path):
    described = Localize(choose_rows(None, None), crf="jax").describe()
    assert json.loads(json.dumps(described)) == described
    assert (described["rows"], described["crf"], described["raw"]) == (["sgt"], "jax", False)
    assert described["model"] == hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert Localize(choose_rows(None, "ela")).describe()["model"] is None
    with pytest.raises(UserError, match="no such folder"):
        made_by(tmp_path / "absent", packaged=False)


def test_a_job_of_a_run_is_of_its_best_checkpoint(tiny_run):
    described = Localize(choose_rows(tiny_run.workdir, None), tiny_run.workdir).describe()
    assert (described["workdir"], described["step"]) == (str(tiny_run.workdir), 6) and described["model"] is None


def test_the_command_goes_through_a_folder_and_a_list(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in (b"in/a.png", b"in/caf\xe9\n.png", b"in/sub/a.png"):
        Path(os.fsdecode(os.fsencode(tmp_path / "x")[:-1] + name)).write_bytes(PNG)
    (tmp_path / "in" / "note.txt").write_text("note")
    command = [sys.executable, "-c", "from splice_jax.cli import main; main()", "localize", "--method=all_spliced"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    flags = ["--workers=1", "--output=out"]
    done = subprocess.run([*command, "--from-folder=in", *flags], cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0 and done.stderr == b"1 file that is no image was passed over (.txt 1)\n"
    assert done.stdout.startswith(b"3 done, 0 failed, 0 skipped; ")
    listed = b"\0".join([b"in/sub/../a.png", b"in/caf\xe9\n.png", b"in/sub/a.png", b"in/no\x1b.png"])
    done = subprocess.run(
        [*command, "--from-list=-", *flags], cwd=tmp_path, env=environment, capture_output=True, input=listed
    )
    assert done.returncode == 2 and b"3 done, 1 failed, 0 skipped, 3 of them before; " in done.stdout
    failed, last = done.stderr.splitlines()
    assert failed.endswith(rb"in/no\x1b.png: cannot be opened (no such file or directory); check the path")
    assert last == b"1 of 4 images failed"
    assert len(gather(tmp_path / "out")) == 4
