"""The flags of bulk jobs, which `localize` and `examine` share."""

import argparse
import functools
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splice_jax.cli.parser import positive, shard_of
from splice_jax.errors import UserError, require_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from splice_jax.bulk.crew import Crew
    from splice_jax.bulk.tasks import Maker

_ONLY_BULK = ("shard", "workers", "gpus", "seconds_per_image", "ray", "retry_failed")


def add_flags(command: argparse.ArgumentParser) -> None:
    """Adds them as a group of their own."""
    text = "any number of images, by several processes; the same command goes on with a stopped job (docs/bulk.md)"
    group = command.add_argument_group("bulk jobs", text)
    listed = "a file with an image on each line, or with zero bytes between them; - is stdin"
    group.add_argument("--from-list", metavar="FILE", help=listed)
    group.add_argument("--from-folder", type=Path, metavar="DIR", help="a folder, with its subfolders")
    shard = "only the images of shard I of N, 0 to N-1, which their paths decide; each shard has its own manifest"
    group.add_argument("--shard", type=shard_of, metavar="I/N", help=shard)
    group.add_argument("--workers", type=positive, metavar="N", help="processes (default: one per core)")
    group.add_argument("--gpus", type=positive, metavar="N", help="as many workers, each on a GPU of its own")
    seconds = "after which an image that is not done fails, and its worker is ended (default 3600)"
    group.add_argument("--seconds-per-image", type=positive, metavar="N", help=seconds)
    ray = "on the Ray cluster at this address, or the one of this machine (extra [ray])"
    group.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help=ray)
    retry = "try all images that failed again, not only those that could not be read"
    group.add_argument("--retry-failed", action="store_true", help=retry)


def asked_for(arguments: argparse.Namespace, named: "list[Path]", what: str) -> bool:
    """Whether a bulk job is asked for, not single files.

    Raises:
        UserError: both are, or neither is, or flags contradict each other.
    """
    sources = [f"--{name}" for name in ("from-list", "from-folder") if getattr(arguments, name.replace("-", "_"))]
    if len(sources) + bool(named) > 1:
        raise UserError(f"{sources[0]}: goes with no {'other images' if named else sources[1]}; give one of them")
    if not sources:
        if not named:
            raise UserError(f"{what}: give one or more, a folder, or a bulk job by --from-list or --from-folder")
        for name in _ONLY_BULK:
            if getattr(arguments, name) not in (None, False):
                raise UserError(f"--{name.replace('_', '-')}: goes with --from-list or --from-folder")
        return False
    if arguments.gpus and arguments.workers:
        raise UserError("--workers: there is one worker for each of --gpus; give one of them")
    return True


def run(arguments: argparse.Namespace, maker: "Maker") -> int:
    """Runs the job; returns 2 if images failed."""
    from splice_jax.bulk import engine, inputs
    from splice_jax.images import told

    others = Counter[str]()
    if arguments.from_list:
        names = inputs.in_list(arguments.from_list)
    else:
        names = inputs.in_folder(arguments.from_folder, arguments.output, others)
    shard = inputs.Shard(*arguments.shard) if arguments.shard else inputs.Shard()
    hire = _crew(arguments)
    counts = engine.run(names, arguments.output, maker, hire, shard=shard, retry=arguments.retry_failed)
    if others:
        print(told(others), file=sys.stderr)
    if counts.failed:
        print(f"{counts.failed:,} of {sum(counts):,} images failed", file=sys.stderr)
    return 2 if counts.failed else 0


def _crew(arguments: argparse.Namespace) -> "Callable[[Maker, Path], Crew[Any]]":
    from splice_jax.bulk.crew import SECONDS

    how: dict[str, Any] = {"workers": arguments.workers or 0, "gpus": arguments.gpus or 0}
    how["seconds"] = arguments.seconds_per_image or SECONDS
    if arguments.ray is None:
        from splice_jax.bulk.pool import Pool

        return functools.partial(Pool, **how)
    require_extra("ray")
    from splice_jax.bulk.cluster import Cluster

    return functools.partial(Cluster, address=arguments.ray, **how)
