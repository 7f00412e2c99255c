"""The command `splice-jax`: flags in, one call, exit code out.

A command is a function that adds its parser and names the function that is called with the parsed arguments; listing
it in `COMMANDS` is all it takes. What a command needs is imported when it is called.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from splice_jax import __version__, errors

Commands = Any  # What `add_subparsers` returns; argparse keeps its type to itself.


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, as every other mistake is."""

    more: Callable[[], str] | None = None
    """What stands below the help; it is looked up when help is asked for and not before."""

    def error(self, message: str) -> NoReturn:
        """Raises `UserError` where argparse would print the usage and exit."""
        raise errors.UserError(f"{message}; see {self.prog} --help")

    def format_help(self) -> str:
        """The help, with `more` below."""
        self.epilog = self.more() if self.more else None
        return super().format_help()


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits: 0, 2 where the user has to mend something, 130 after Ctrl-C."""

    def command() -> int:
        arguments = parser().parse_args(argv)
        return arguments.run(arguments)

    errors.run(command)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(prog="splice-jax", description="Find what was spliced into a photograph.")
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return top


def _add_localize(commands: Commands) -> None:
    text = (
        "Localize splices in images: STEM.probability.png, STEM.mask.png and STEM.overlay.png of each, by several "
        "methods STEM.METHOD.probability.png and so on, and a summary.csv of all."
    )
    command = commands.add_parser("localize", help="find the splices in images", description=text)
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="an image, or a folder of images")
    command.add_argument("--workdir", type=Path, metavar="DIR", help="a trained run")
    method = "rows that need no run or are the run's, with commas between them; all: all of them"
    command.add_argument("--method", metavar="NAME[,NAME]", help=method)
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results go")
    below = "take the images in subfolders as well, but follow no links to folders; results go to the same subfolders"
    command.add_argument("--recursive", action="store_true", help=below)
    command.add_argument("--crf", type=_backend, default="none", metavar="NAME", help="none (default) or pydensecrf")
    command.add_argument("--raw", action="store_true", help="write STEM.npz as well, with the unrounded arrays")
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
    from splice_jax import localize
    from splice_jax.files import writable_folder

    rows = localize.choose_rows(arguments.workdir, arguments.method)
    images = localize.find_images(
        arguments.images, arguments.output, recursive=arguments.recursive, infixes=rows.infixes
    )
    localizers = localize.load_rows(rows, arguments.workdir, crf=arguments.crf, labels=arguments.raw)
    output = writable_folder(arguments.output)
    return 2 if localize.localize_files(images, output, localizers, raw=arguments.raw) else 0


def _add_compose(commands: Commands) -> None:
    text = "Compose spliced images with their masks from photographs, in the form of a folder data set."
    command = commands.add_parser("compose", help="make splices from photographs", description=text)
    command.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of authentic photographs")
    command.add_argument("--regions", type=Path, metavar="DIR", help="a segmentation of each photograph, by its stem")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the data set goes")
    command.add_argument("--count", type=_positive, default=1000, metavar="N", help="images to compose (default 1000)")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other images (default 0)")
    command.add_argument("--recipe", default="histories", metavar="NAME", help="how (default histories)")
    command.add_argument("--split", metavar="NAME", help="all for train, val or test (default: 80, 10 and 10 %%)")
    command.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    command.set_defaults(run=_compose)


def _compose(arguments: argparse.Namespace) -> int:
    from splice_jax.data.composing.compose import compose_folder

    options = {name: value for name, value in vars(arguments).items() if name != "run"}
    counts = compose_folder(options.pop("photos"), options.pop("output"), **options)
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
    command.set_defaults(run=_prepare)


def _prepare(arguments: argparse.Namespace) -> int:
    from splice_jax.data.sets import verify
    from splice_jax.data.sets.preparation import prepare_manual

    dataset, data_dir = arguments.dataset, arguments.data_dir
    findings = prepare_manual(dataset, arguments.manual_dir, data_dir)
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
    command.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from splice_jax.data.sets import verify

    findings = verify.verify(arguments.dataset, arguments.data_dir)
    print(verify.table(findings))
    verify.require_nothing_wrong(findings, arguments.dataset)
    return 0


def _add_weights(commands: Commands) -> None:
    text = "Convert torchvision's ResNet-18 or VGG-16 to Flax variables, which --config.global_weights names."
    command = commands.add_parser("weights", help="convert torchvision's ImageNet weights", description=text)
    kinds = "a .pth (needs PyTorch), .safetensors or .npz file, or its https address"
    command.add_argument("source", metavar="FILE_OR_URL", help=kinds)
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help="the .npz file to write")
    command.set_defaults(run=_weights)


def _weights(arguments: argparse.Namespace) -> int:
    from splice_jax.weights.torchvision import convert

    network, parameters = convert(arguments.source, arguments.output)
    usage = network.usage.format(arguments.output)
    print(f"{arguments.output}: {network.title}, {parameters:,} parameters; use them by {usage}")
    return 0


def _add_import_pytorch(commands: Commands) -> None:
    text = "Make a run to evaluate of a checkpoint of the released PyTorch program. Needs the extra [torch]."
    command = commands.add_parser("import-pytorch", help="the PyTorch baseline's checkpoint to a run", description=text)
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a file that the program saved")
    command.add_argument("--arch", choices=("res_sgn", "sgn", "jcs"), required=True, help="what it was trained as")
    command.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="where the run goes")
    command.set_defaults(run=_import_pytorch)


def _import_pytorch(arguments: argparse.Namespace) -> int:
    from splice_jax.runs.builtin import baseline
    from splice_jax.runs.pytorch import import_run

    record = import_run(arguments.checkpoint, arguments.arch, arguments.workdir, baseline.get_config())
    workdir, epoch = arguments.workdir, record["epoch"]
    print(f"{workdir}: {arguments.arch} after epoch {epoch}; score it with evaluate.py --workdir={workdir}")
    return 0


def _add_export_pytorch(commands: Commands) -> None:
    text = "Write a run's best checkpoint for the released PyTorch program. Needs the extra [torch]."
    command = commands.add_parser("export-pytorch", help="a run to the PyTorch baseline's checkpoint", description=text)
    command.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="a trained run")
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help="where the checkpoint goes")
    command.add_argument("--data-parallel", action="store_true", help="for the program when it is started with --gpu")
    command.set_defaults(run=_export_pytorch)


def _export_pytorch(arguments: argparse.Namespace) -> int:
    from splice_jax.runs.builtin import baseline
    from splice_jax.runs.pytorch import export_run

    faithful, parallel = baseline.get_config(), arguments.data_parallel
    different = export_run(arguments.workdir, arguments.output, faithful, data_parallel=parallel)
    if different:
        print(f"warning: the baseline computes something else, without {', '.join(different)}", file=sys.stderr)
    print(f"{arguments.output}: written")
    return 0


def _add_tune_crf(commands: Commands) -> None:
    text = "Choose the CRF's parameters by the score on the run's validation split and write the best into the run."
    command = commands.add_parser("tune-crf", help="CRF parameters by validation F1", description=text)
    command.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="a trained run")
    command.add_argument("--search", choices=("random", "grid"), default="random", help="(default random)")
    command.add_argument("--trials", type=_positive, default=40, metavar="N", help="of a random search (default 40)")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of a random search (default 0)")
    thresholds = "the headline's best-per-image (default), or 0.5"
    command.add_argument("--threshold", choices=("best-per-image", "0.5"), default="best-per-image", help=thresholds)
    command.add_argument("--score", choices=("f1", "mcc"), default="f1", help="(default f1)")
    command.add_argument("--images", type=_positive, metavar="N", help="validation images, evenly taken (default all)")
    command.add_argument("--workers", type=_positive, metavar="N", help="processes (default one per core)")
    command.set_defaults(run=_tune_crf)


def _tune_crf(arguments: argparse.Namespace) -> int:
    from splice_jax.evaluation import tune_crf

    options = {name: value for name, value in vars(arguments).items() if name != "run"}
    workdir = options.pop("workdir")
    print(tune_crf.text(tune_crf.tune(workdir, **options)))
    print(f"written into {workdir / 'config.json'}; all trials are in {workdir / tune_crf.FILE_NAME}")
    return 0


def _add_summarize(commands: Commands) -> None:
    text = "Mean and standard deviation over runs that differ in their seeds, beside the published figures."
    command = commands.add_parser("summarize", help="mean ± std over runs", description=text)
    command.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="an evaluated run, or a scores.json")
    command.add_argument("--evaluation", default="", metavar="NAME", help="which, where a run has several")
    command.add_argument("--output", type=Path, metavar="FILE", help="write all conventions as JSON as well")
    command.set_defaults(run=_summarize)


def _summarize(arguments: argparse.Namespace) -> int:
    from splice_jax.evaluation import summary

    found = summary.summarize(arguments.runs, evaluation=arguments.evaluation)
    if arguments.output:
        summary.write(arguments.output, found)
    if warning := summary.same_seeds(found):
        print(f"warning: {warning}", file=sys.stderr)
    print(summary.text(found))
    return 0


def _backend(text: str) -> str:
    from splice_jax.crf import BACKENDS

    if text not in ("none", *BACKENDS):
        raise argparse.ArgumentTypeError(f"{text!r} is none of none, {', '.join(BACKENDS)}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


COMMANDS: tuple[Callable[[Commands], None], ...] = (
    _add_localize,
    _add_compose,
    _add_prepare,
    _add_verify,
    _add_weights,
    _add_import_pytorch,
    _add_export_pytorch,
    _add_tune_crf,
    _add_summarize,
)
