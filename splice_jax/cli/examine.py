"""The command that examines single photographs: `examine`."""

import argparse
from pathlib import Path

from splice_jax.cli import bulk
from splice_jax.cli.parser import Commands


def _add_examine(commands: Commands) -> None:
    text = (
        "Examine photographs: for each, a self-contained page STEM.examination.html, and the same as "
        "STEM.examination.json: the verdict, the map of every row that applies, the file's facts and what in it "
        "contradicts the rest."
    )
    command = commands.add_parser("examine", help="a page about one photograph", description=text)
    command.add_argument("photographs", nargs="*", type=Path, metavar="PHOTO", help="a photograph, or a folder of them")
    workdir = "a trained run to examine with; by default the packaged model, where there is one"
    command.add_argument("--workdir", type=Path, metavar="DIR", help=workdir)
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the pages go")
    bulk.add_flags(command)
    command.more = _more
    command.set_defaults(run=_examine)


def _more() -> str:
    return (
        "docs/examination.md says what the page says and what it does not, and describes the JSON. A photograph that "
        "cannot be read is named, the others go on, and the exit code is 2. Needs the extra [evaluate]; the extra "
        "[c2pa] adds Content Credentials."
    )


def _examine(arguments: argparse.Namespace) -> int:
    from splice_jax import errors

    errors.require_extra("evaluate")
    if bulk.asked_for(arguments, arguments.photographs, "PHOTO"):
        from splice_jax.examination.bulk import Examine

        return bulk.run(arguments, Examine(arguments.workdir))
    from splice_jax import examination, localize
    from splice_jax.examination.batch import examine_files
    from splice_jax.files import writable_folder

    photographs = localize.find_images(arguments.photographs, arguments.output)
    rows = examination.load_rows(arguments.workdir)
    writable_folder(arguments.output)
    return 2 if examine_files(photographs, rows) else 0


COMMANDS = (_add_examine,)
