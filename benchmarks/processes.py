"""What processes have taken of memory and processors, as Linux tells it; of one that has ended, nothing."""

import contextlib
import os
import re
from pathlib import Path


def below(process: int) -> list[int]:
    """All processes that descend from this one."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = children.get(process, [])
    for each in found:  # Grows while it is gone through.
        found += children.get(each, [])
    return found


def megabytes(process: int) -> float:
    """What a process has in memory, with its share of what it has in common with others."""
    with contextlib.suppress(OSError):
        if found := re.search(r"\nPss:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text()):
            return int(found[1]) * 1024 / 1e6
    return 0.0


def seconds(process: int) -> float:
    """Of processors, that a process has taken so far."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
