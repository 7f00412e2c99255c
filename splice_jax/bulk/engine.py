"""A bulk job from its names to its manifest: what is left to do, handed to workers, recorded as it comes back."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from splice_jax.bulk.crew import Crew
from splice_jax.bulk.inputs import WHOLE, Shard, refuse_irregular, stem_of
from splice_jax.bulk.job import refuse_other_job
from splice_jax.bulk.manifest import Known, Manifest, file_name
from splice_jax.bulk.progress import Progress
from splice_jax.bulk.tasks import DONE, FAILED, SKIPPED, UNCHANGED, Answer, Maker, Task
from splice_jax.errors import UserError
from splice_jax.files import sweep, writable_folder


class Counts(NamedTuple):
    """How the images of a job ended, in this call or earlier ones; each counts once, however often it is named."""

    done: int
    failed: int
    skipped: int


def run(
    names: Iterable[str],
    output: Path,
    maker: Maker,
    hire: Callable[[Maker, Path], Crew[Any]],
    *,
    shard: Shard = WHOLE,
    retry: bool = False,
) -> Counts:
    """Makes of every image what is missing of it; whatever stops this call, the next one goes on.

    An image is finished if the manifest has it with the content that it has now. One that failed for its content, or of
    which workers died, counts as finished as well; one that could not be read is tried again. Images that fail are
    named on stderr, those of earlier calls too.

    Args:
        names: absolute paths, taken one at a time.
        output: the folder of results and manifest.
        maker: what is made.
        hire: starts workers for a maker and an output folder; not called if nothing is left to do.
        shard: the part of the names to work on.
        retry: whether all that failed are tried again.

    Raises:
        UserError: the folder belongs to another job or cannot be written to, another process works on it, or the
            workers cannot work at all.
    """
    output = writable_folder(output).absolute()
    manifest = Manifest(output / file_name(shard))
    try:
        refuse_other_job(output, {**maker.describe(), "shards": shard.parts})
        with Progress(manifest.path) as progress:
            left = _left(names, manifest, shard, retry, progress)
            if first := next(left, None):
                _work(hire(maker, output), deque([first]), left, output, manifest, progress)
    finally:
        manifest.close()
    return Counts(*(progress.counts[status] for status in (DONE, FAILED, SKIPPED)))


def _left(names: Iterable[str], manifest: Manifest, shard: Shard, retry: bool, progress: Progress) -> Iterator[Task]:
    """What is left to do; what is finished is only counted."""
    for position, image in enumerate(names):
        if not shard.holds(image) or not manifest.meet(image):
            continue
        known = manifest.known(image)
        if known is None or known.bytes is None or (retry and known.status == FAILED):
            yield Task(image, known.stem if known else stem_of(position, image))
        elif _looks_unchanged(image, known):
            progress.tell(image, known.status, known.reason, before=True)
        else:
            yield Task(image, known.stem, known.sha256)


def _looks_unchanged(image: str, known: Known) -> bool:
    """Whether a file has the size and the time of its last change that it was finished with; else its hash decides.

    What was found in a file that is gone still holds.
    """
    try:
        now = refuse_irregular(image)
    except UserError:
        return True
    return (now.st_size, now.st_mtime_ns) == (known.bytes, known.mtime_ns)


def _work(
    crew: Crew[Any], waiting: deque[Task], more: Iterator[Task], output: Path, manifest: Manifest, progress: Progress
) -> None:
    under_way: dict[str, Task] = {}
    deaths: Counter[str] = Counter()
    folder, littered = Path(), set[Path]()
    try:
        while True:
            while crew.has_room() and (task := waiting.popleft() if waiting else next(more, None)):
                if folder != (folder := (output / task.stem).parent):
                    sweep(folder)  # What earlier calls left unfinished when they were killed.
                under_way[task.image] = task
                crew.send(task)
            if not under_way:
                return
            task, answer, death, final = crew.receive()
            del under_way[task.image]
            if answer is None:
                littered.add((output / task.stem).parent)
                deaths[task.image] += 1
                if not final and deaths[task.image] < crew.attempts:
                    waiting.append(task)
                    continue
                died = f"{crew.attempts} workers died of it ({death}), perhaps for lack of memory"
                answer = _fatal(task.image, death if final else died)
            deaths.pop(task.image, None)
            _record(task, answer, manifest, progress)
    finally:
        crew.close()
        for place in littered | {(output / task.stem).parent for task in under_way.values()}:
            sweep(place)


def _fatal(image: str, reason: str) -> Answer:
    """The end of an image that workers die of or hang at; its size and time tell whether it is still the same."""
    try:
        state = refuse_irregular(image)
    except UserError:
        return Answer(FAILED, reason)
    return Answer(FAILED, reason, "", state.st_size, state.st_mtime_ns)


def _record(task: Task, answer: Answer, manifest: Manifest, progress: Progress) -> None:
    if answer.status == UNCHANGED:
        known = manifest.known(task.image)
        assert known is not None
        progress.tell(task.image, known.status, known.reason, before=True)
        return
    manifest.add(task, answer)
    progress.tell(task.image, answer.status, answer.reason)
