"""Commands about foreign weights: `weights`, `import-pytorch` and `export-pytorch`."""

import argparse
import sys
from pathlib import Path

from splice_jax.cli.parser import Commands


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
    print(f"{workdir}: {arguments.arch} after epoch {epoch}; score it with splice-jax evaluate --workdir={workdir}")
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


COMMANDS = (_add_weights, _add_import_pytorch, _add_export_pytorch)
