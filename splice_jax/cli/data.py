"""Commands about data sets: `compose`, `prepare` and `verify`."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from splice_jax import errors
from splice_jax.cli.parser import Commands, Parser, positive, shard_of

if TYPE_CHECKING:
    from splice_jax.data.sets.reading import Reading


def _add_compose(commands: Commands) -> None:
    text = "Compose spliced images with their masks from photographs, in the form of a folder data set."
    command = commands.add_parser("compose", help="make splices from photographs", description=text)
    command.add_argument("photos", nargs="+", type=Path, metavar="PHOTOS", help="a folder of authentic photographs")
    segmented = "segmentations of photographs, by their stems; for several folders of photographs, as many, in order"
    command.add_argument("--regions", nargs="+", type=Path, metavar="DIR", help=segmented)
    half = "only the photographs of one half, which a hash of their names decides"
    command.add_argument("--half", type=int, choices=(0, 1), help=half)
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the data set goes")
    command.add_argument("--count", type=positive, default=1000, metavar="N", help="images to compose (default 1000)")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other images (default 0)")
    command.add_argument("--recipe", default="histories", metavar="NAME", help="how (default histories)")
    command.add_argument("--split", metavar="NAME", help="all for train, val or test (default: 80, 10 and 10 %%)")
    command.add_argument("--workers", type=positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    shard = "only part I of N, 0 to N-1, for array jobs; the splits are there once all parts are (docs/bulk.md)"
    command.add_argument("--shard", type=shard_of, metavar="I/N", help=shard)
    command.set_defaults(run=_compose)


def _compose(arguments: argparse.Namespace) -> int:
    from splice_jax.bulk.inputs import Shard
    from splice_jax.data.composing.compose import compose_folder

    options = {name: value for name, value in vars(arguments).items() if name not in ("run", "shard")}
    if arguments.shard:
        options["shard"] = Shard(*arguments.shard)
    counts = compose_folder(options.pop("photos"), options.pop("output"), **options)
    if not counts:
        print(f"{arguments.output}: this part is there; the splits will be once all others are")
        return 0
    listed = ", ".join(f"{number} {split}" for split, number in counts.items())
    print(
        f"{arguments.output}: {listed} images; use them by --config.dataset=folder --config.data_dir={arguments.output}"
    )
    return 0


def _add_prepare(commands: Commands) -> None:
    text = "Prepare one of the paper's data sets from its owners' folder, then verify it. Without one: where to get it."
    command = commands.add_parser("prepare", help="make a data set of the owners' files", description=text)
    command.add_argument("dataset", metavar="DATASET", help="columbia, carvalho or nc2016")
    command.add_argument("--manual-dir", type=Path, metavar="DIR", help="the folder as its owners hand it out")
    command.add_argument("--data-dir", default="", metavar="DIR", help="where it goes (default: the user's cache)")
    _add_reading(command)
    command.set_defaults(run=_prepare)


def _add_reading(command: Parser) -> None:
    orientation = "stored or displayed: what masks were drawn on, where they differ from images in EXIF orientation"
    command.add_argument("--mask-orientation", type=_orientation, default="", metavar="NAME", help=orientation)
    command.add_argument("--skip-unreadable", action="store_true", help="leave out files that cannot be used")


def _orientation(text: str) -> str:
    from splice_jax.data.sets.reading import ORIENTATIONS

    if text not in ORIENTATIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(filter(None, ORIENTATIONS))}")
    return text


def _reading(arguments: argparse.Namespace) -> "Reading":
    from splice_jax.data.sets.reading import USUAL

    given = {name: value for name, value in vars(arguments).items() if name in USUAL._fields and value is not None}
    return USUAL._replace(**given)


def _prepare(arguments: argparse.Namespace) -> int:
    errors.require_extra("train")
    from splice_jax.data.sets import verify
    from splice_jax.data.sets.preparation import prepare_manual

    dataset, data_dir = arguments.dataset, arguments.data_dir
    findings = prepare_manual(dataset, arguments.manual_dir, data_dir, _reading(arguments))
    print(verify.table(findings))
    verify.require_nothing_wrong(findings, dataset)
    place = f" --config.data_dir={data_dir}" if data_dir else ""
    print(f"use it by --config.dataset={dataset}{place}")
    return 0


def _add_verify(commands: Commands) -> None:
    text = "Look at every image of a data set: counts, sizes, polarity, damage, and what its splits have in common."
    command = commands.add_parser("verify", help="is a data set what it should be?", description=text)
    command.add_argument("dataset", metavar="DATASET", help="a data set's name in a configuration")
    command.add_argument("--data-dir", default="", metavar="DIR", help="as in a configuration's data_dir")
    command.add_argument("--mask-pattern", metavar="NAME", help="folder: see mask_pattern")
    _add_reading(command)
    command.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    errors.require_extra("train")
    from splice_jax.data.sets import verify

    findings = verify.verify(arguments.dataset, arguments.data_dir, reading=_reading(arguments))
    print(verify.table(findings))
    verify.require_nothing_wrong(findings, arguments.dataset)
    return 0


COMMANDS = (_add_compose, _add_prepare, _add_verify)
