"""Readers of bulk jobs: lists of images, and the manifests that jobs go on from."""

import contextlib
import io
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.fuzzing.reader import Reader, is_json
from splice_jax.bulk import inputs
from splice_jax.bulk.job import FILE_NAME, refuse_other_job
from splice_jax.bulk.manifest import Manifest, gather
from splice_jax.bulk.tasks import DONE, FAILED, SKIPPED, Answer, Task
from splice_jax.errors import UserError

_SHARD, _ALL = "manifest-00001-of-00003.jsonl", "manifest.jsonl"


_JOB = {"command": "localize", "rows": ["noi1", "sgt"], "step": None, "raw": False, "shards": 1}


def _refuse_outside(output: Path, stem: str) -> None:
    """Raises ValueError, a finding, if a result's name leads out of its folder, or is none of ours."""
    place = (output / stem).resolve()
    if place.parents[2] != output.resolve() or not inputs.STEM.fullmatch(stem):
        raise ValueError(f"{stem!r} leads out of the folder")


def _scenery(folder: Path) -> list[bytes]:
    """What names can mean: files, links, also out of the folder and in a circle, a pipe, a folder, and nothing."""
    (folder / "below").mkdir(exist_ok=True)
    for name, content in (("a.jpg", b"a"), ("below/größe.jpg", b"b"), ("empty.jpg", b""), ("caf\udce9.jpg", b"c")):
        (folder / name).write_bytes(content)
    for name, target in (("out.jpg", "/dev/null"), ("up", "."), ("circle.jpg", "circle.jpg"), ("gone.jpg", "none")):
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(target)
    with contextlib.suppress(FileExistsError):
        os.mkfifo(folder / "pipe.jpg")
    names = ["a.jpg", "below/größe.jpg", "empty.jpg", "caf\udce9.jpg", "out.jpg", "up/none.jpg", "circle.jpg"]
    names += [
        "gone.jpg",
        "pipe.jpg",
        "below",
        "below/../a.jpg",
        "../../../../../etc/passwd",
        "#x",
        "/none/b.jpg",
        "a.jpg",
    ]
    return [os.fsencode(name) for name in names]


def _lists(folder: Path) -> Mapping[str, bytes]:
    names = _scenery(folder)
    return {
        "lines": b"\n".join(names),
        "windows": b"\xef\xbb\xbf" + b"\r\n".join([*names, b"", b"b.jpg"]) + b"\r\n",
        "zeros": b"\0".join([*names, b"two\nlines.jpg", b"c.jpg\r"]) + b"\0",
    }


def _read_list(path: Path) -> None:
    """Every name of it, of one of two shards, as a job takes them; of a file that is none, only its failure is told."""
    with contextlib.chdir(path.parent):
        for position, image in enumerate(inputs.in_list(str(path))):
            if inputs.Shard(0, 2).holds(image):
                _refuse_outside(path.parent / "output", inputs.stem_of(position, image))
                with contextlib.suppress(UserError):
                    inputs.refuse_irregular(image)
            elif image.startswith(f"{path.parent}/"):
                with contextlib.suppress(UserError):
                    [*inputs.in_folder(Path(image), path.parent / "output", Counter())]


def _manifests(folder: Path) -> Mapping[str, bytes]:
    names = [os.fsdecode(os.path.join(b"/photographs", name)) for name in _scenery(folder)]
    found = {"noi1": {"score": 0.25, "alarm": None, "marked_share": 0.5}}
    answers = (
        Answer(DONE, "", "0f" * 32, 3, 7, found, 0.1),
        Answer(FAILED, "broken or truncated; get a whole copy of it", "00" * 32, 12, 10**18),
        Answer(SKIPPED, "row noi1: smaller than a block", "01" * 32, 0, 0),
        Answer(FAILED, "cannot be opened (no such file or directory); check the path"),
    )
    lines = [
        json.dumps({"image": name, "stem": inputs.stem_of(number * 999, name), **answers[number % 4]._asdict()}) + "\n"
        for number, name in enumerate(names)
    ]
    texts = {_ALL: "".join(lines), _SHARD: "".join(lines[::3]), FILE_NAME: json.dumps(_JOB, indent=2) + "\n"}
    return {name: text.encode("ascii") for name, text in texts.items()}


def _read_manifest(path: Path) -> None:
    """As a job that goes on does: what is known, one line more, and all of it."""
    if path.name == FILE_NAME:
        refuse_other_job(path.parent, _JOB)
        return
    with contextlib.redirect_stderr(io.StringIO()):
        manifest = Manifest(path)
    try:
        for image in ("/photographs/a.jpg", "/photographs/caf\udce9.jpg", "/new.jpg"):
            manifest.meet(image)
            if known := manifest.known(image):
                _refuse_outside(path.parent, known.stem)
        task = Task("/photographs/a.jpg", inputs.stem_of(0, "/photographs/a.jpg"))
        manifest.add(task, Answer(DONE, "", "ff", 1, 1))
        manifest.add(task, Answer(DONE, "", "ff", 1, 1))  # Says nothing new.
    finally:
        manifest.close()
    if "/photographs/a.jpg" not in gather(path.parent):
        raise UserError(f"{path}: lost the line that was added")


def _begins_as_list(content: bytes) -> bool:
    return not content.startswith((b"\xff\xfe", b"\xfe\xff"))


def _begins_as_manifest(content: bytes) -> bool:
    return is_json(content) or is_json(content.partition(b"\n")[0])


READERS = {
    "list": Reader(_lists, _read_list, _begins_as_list, ("bulk.inputs",)),
    "manifest": Reader(_manifests, _read_manifest, _begins_as_manifest, ("bulk.manifest", "bulk.job")),
}
