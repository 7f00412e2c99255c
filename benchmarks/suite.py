"""Prints the benchmarks as a table and as one line of JSON.

Patches per second (p/s) of the training step and seconds per image of localization, for the networks at the size of
`configs/default.py`, without and with each global network.
"""

import argparse
import json
import os
import platform

import jax

from configs.default import get_config

NETWORKS = {"sgn, resnet18": ("sgn", "resnet18"), "sgn, cnn": ("sgn", "cnn"), "bappy": ("bappy", "none")}
SIZES = {"0.4 megapixels": (568, 757), "12 megapixels": (3000, 4000)}


def main() -> None:
    """Measures every network."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    flags.add_argument("--repeats", type=int, default=5, metavar="N", help="timed runs of each; the median counts")
    repeats = flags.parse_args().repeats
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)  # As train.py does.
    machine = {"device": jax.devices()[0].device_kind, "devices": jax.local_device_count(), "cores": os.cpu_count()}
    machine |= {"jax": jax.__version__, "python": platform.python_version()}
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{'':15}{'training':>16}" + "".join(f"{size:>18}" for size in SIZES), flush=True)
    rows = [measure(name, repeats) for name in NETWORKS]
    print(json.dumps({"machine": machine, "rows": rows}))


def measure(name: str, repeats: int) -> dict[str, object]:
    """One row, printed as it is found."""
    from benchmarks.speed import localization_seconds, random_localizer, training_rate

    config = get_config()
    config.method, config.global_network = NETWORKS[name]
    rate = training_rate(config, repeats)
    print(f"{name:15}{rate:>12.0f} p/s", end="", flush=True)
    localizer, seconds = random_localizer(config), {}
    for label, size in SIZES.items():
        seconds[label] = localization_seconds(localizer, *size, repeats if size[0] < 1000 else 1)
        print(f"{seconds[label]:>12.2f} s/img", end="", flush=True)
    print()
    return {"network": name, "training_patches_per_second": rate, "localization_seconds": seconds}


if __name__ == "__main__":
    main()
