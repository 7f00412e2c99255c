"""The command that finds splices: `localize`."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from splice_jax.cli import bulk
from splice_jax.cli.parser import Commands
from splice_jax.errors import UserError


def _add_localize(commands: Commands) -> None:
    text = (
        "Localize splices in images: STEM.probability.png, STEM.mask.png and STEM.overlay.png of each, by several "
        "methods STEM.METHOD.probability.png and so on, and a summary.csv of all."
    )
    command = commands.add_parser("localize", help="find the splices in images", description=text)
    command.add_argument(
        "images", nargs="*", type=Path, metavar="IMAGE", help="an image, or a folder of images; - is stdin"
    )
    command.add_argument("--workdir", type=Path, metavar="DIR", help="a trained run")
    method = "rows that need no run or are the run's, with commas between them; all: all of them"
    command.add_argument("--method", metavar="NAME[,NAME]", help=method)
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results go")
    below = "take the images in subfolders as well, but follow no links to folders; results go to the same subfolders"
    command.add_argument("--recursive", action="store_true", help=below)
    command.add_argument(
        "--crf", type=_backend, default="none", metavar="NAME", help="none (default), jax or pydensecrf"
    )
    command.add_argument("--raw", action="store_true", help="write STEM.npz as well, with the unrounded arrays")
    bulk.add_flags(command)
    command.more = _rows
    command.set_defaults(run=_localize)


def _rows() -> str:
    from splice_jax.methods import names

    return (
        f"Rows that need no run: {', '.join(names())}. docs/rows.md says what each looks at. An image that cannot be "
        "read or localized is named, the others go on, and the exit code is 2; so is one for which the only method is "
        "undefined. Of several methods, one that is undefined for an image is named and fails nothing."
    )


def _localize(arguments: argparse.Namespace) -> int:
    of_bulk = bulk.asked_for(arguments, arguments.images, "IMAGE")
    if of_bulk and arguments.recursive:
        raise UserError("--recursive: --from-folder takes subfolders along anyway; leave it out")
    from splice_jax import crf, localize
    from splice_jax.files import writable_folder

    rows = localize.choose_rows(arguments.workdir, arguments.method)
    if of_bulk:
        return bulk.run(arguments, localize.Localize(rows, arguments.workdir, arguments.crf, arguments.raw))
    others = Counter[str]()
    images = localize.find_images(
        arguments.images, arguments.output, recursive=arguments.recursive, infixes=rows.infixes, passed_over=others
    )
    localizers = localize.load_rows(rows, arguments.workdir, crf=arguments.crf, labels=arguments.raw)
    output = writable_folder(arguments.output)
    at_a_time = crf.batch_size(arguments.crf)
    failed = localize.localize_files(images, output, localizers, raw=arguments.raw, at_a_time=at_a_time)
    if summary := localize.at_the_end(failed, len(images), others):
        print(summary, file=sys.stderr)
    return 2 if failed else 0


def _backend(text: str) -> str:
    from splice_jax.crf import BACKENDS

    if text not in ("none", *BACKENDS):
        raise argparse.ArgumentTypeError(f"{text!r} is none of none, {', '.join(BACKENDS)}")
    return text


COMMANDS = (_add_localize,)
