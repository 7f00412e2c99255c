"""Localizes images one after another, or some at a time where a device refines many maps together."""

import contextlib
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from splice_jax import crf
from splice_jax.errors import shown
from splice_jax.images import told
from splice_jax.localize.results import FAILED, OK, UNDEFINED, Outcome, localize_image
from splice_jax.localize.summary import refuse_mixing, summary
from splice_jax.methods.localizer import Localizer
from splice_jax.workers import in_order


def localize_files(
    images: Mapping[Path, Path],
    output: Path,
    localizers: Sequence[Localizer],
    *,
    raw: bool = False,
    at_a_time: int = 1,
) -> int:
    """Localizes every image with every method and writes the results; images that fail are named on stderr.

    If a method is undefined for an image, the image fails if there is no other method, and is only named otherwise.
    Progress is shown as a bar if stderr is a terminal, otherwise as a line per image and method on stdout.

    Args:
        images: as `find_images` gives them.
        output: the folder of the results and their summary; those of an earlier call on the same images are replaced.
        localizers: the methods.
        raw: whether to write STEM.npz as well.
        at_a_time: images that are held together, so that the CRF refines their maps together; see `crf.batch_size`. A
            call that is stopped may leave results of so many images without a line in the summary.

    Returns:
        how many images failed.

    Raises:
        UserError: the summary cannot be written, or results would replace those of another method.
    """
    single, in_terminal = len(localizers) == 1, sys.stderr.isatty()
    refuse_mixing(images, output, [localizer.name for localizer in localizers])
    failed = 0
    with summary(output, images) as add, contextlib.closing(_outcomes(images, localizers, raw, at_a_time)) as outcomes:
        for image, found in tqdm(outcomes, total=len(images), unit="image", disable=not in_terminal):
            warnings: dict[str, None] = {}
            errors: dict[str, None] = {}  # An unreadable image is one error, however many methods there are.
            for outcome in found:
                add(outcome)
                if outcome.status == FAILED or (single and outcome.status == UNDEFINED):
                    errors[f"error: {shown(image)}: {outcome.reason}"] = None
                    continue
                _tell(outcome, single, in_terminal)
                if outcome.status == OK and outcome.reason:
                    warnings[f"warning: {shown(image)}: {outcome.reason}"] = None
            for line in [*warnings, *errors]:
                tqdm.write(line, file=sys.stderr)
            failed += bool(errors)
    return failed


def _outcomes(
    images: Mapping[Path, Path], localizers: Sequence[Localizer], raw: bool, at_a_time: int
) -> Generator[tuple[Path, Iterable[Outcome]], None, None]:
    if at_a_time == 1:
        for image, stem in images.items():
            yield image, localize_image(image, stem, localizers, raw=raw)
        return
    gathering = crf.gathering()

    def localize(item: tuple[Path, Path]) -> tuple[Path, list[Outcome]]:
        with gathering.part():
            return item[0], list(localize_image(*item, localizers, raw=raw))

    threads = ThreadPoolExecutor(at_a_time)
    try:
        yield from in_order(threads, localize, images.items(), ahead=at_a_time)
    finally:
        threads.shutdown(cancel_futures=True)


def _verdict(outcome: Outcome) -> str:
    if outcome.score is None or outcome.alarm is None:
        return f"{outcome.marked_share:.1%} spliced"
    alarm = f"{outcome.alarm:.1%} of authentic photographs score as high"
    return f"score {outcome.score:.2f} ({alarm}), {outcome.marked_share:.1%} marked"


def at_the_end(failed: int, images: int, passed_over: Counter[str]) -> str:
    """What a run says last: how many of its images failed, and what was passed over; "" if there is nothing to say.

    >>> at_the_end(2, 5, Counter({".csv": 1}))
    '2 of 5 images failed; 1 file that is no image was passed over (.csv 1)'
    """
    failures = f"{failed} of {images} images failed" if failed and images > 1 else ""
    return "; ".join(filter(None, (failures, told(passed_over))))


def _tell(outcome: Outcome, single: bool, in_terminal: bool) -> None:
    image = shown(outcome.image)
    what = image if single else f"{image}: {outcome.method}"
    if outcome.status == OK:
        line = f"{what}: {_verdict(outcome)}, {outcome.seconds:.1f} s"
    else:
        line = f"{what}: undefined, {outcome.reason}"
    if not in_terminal:
        print(line, flush=True)
    elif outcome.status != OK:
        tqdm.write(line, file=sys.stderr)
