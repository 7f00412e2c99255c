"""Where the devices' time goes: the kernels of a compiled function, by the part of the network they belong to."""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

PARTS = {
    "LSTM": "/lstm/",
    "narrow convolutions": "local_network",
    "mask head": "mask_head",
    "label head": "label_head",
    "image's half": "resnet|global_cnn|global_dense",
}
"""By JAX's name for an operation; the first match counts."""

SUMS = "sums over devices, waiting for one another"
REST = "loss, optimizer and other"
_BACKWARD = "transpose("
_CONTROL = {"while", "call", "conditional"}
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = .*?\s([\w-]+)\(")


def device_time(call: Callable[[], object], compiled: str, repeats: int = 3) -> dict[str, float]:
    """Milliseconds of kernels per call, summed over devices and the threads of a CPU, by part, forward and back.

    Args:
      call: runs the function, compiled before, to its end.
      compiled: the function's optimized HLO, `jitted.lower(...).compile().as_text()`.
      repeats: how often it is called.
    """
    part_of = _parts(compiled)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(repeats):
                call()
        [trace] = Path(folder).rglob("*.xplane.pb")
        for name, nanoseconds in _kernels(trace):
            if name in part_of:
                total[part_of[name]] += round(nanoseconds)
    return {part: 1e-6 * value / repeats for part, value in total.most_common()}


def _kernels(trace: Path) -> Iterator[tuple[str, float]]:
    """The instruction and the duration of every kernel in a trace."""
    for plane in jax.profiler.ProfileData.from_file(str(trace)).planes:
        lines = list(plane.lines)
        streams = [line for line in lines if line.name.startswith("Stream")]  # Of a GPU; its other lines sum them up.
        for line in streams or lines:
            for event in line.events:
                instruction = dict(event.stats).get("hlo_op")
                if instruction is not None:
                    yield str(instruction), event.duration_ns


def _parts(compiled: str) -> dict[str, str]:
    """The part that each instruction belongs to, but for those that only call others."""
    names: dict[str, str] = {}  # of operations, by instruction
    caller: dict[str, str] = {}  # the instruction that calls a computation
    inside: dict[str, list[str]] = {}  # the instructions of a computation
    kinds: dict[str, str] = {}
    computation = ""
    for line in compiled.splitlines():
        if line.endswith("{") and not line.startswith(" "):
            computation = line.removeprefix("ENTRY ").split()[0].lstrip("%")
        elif found := _INSTRUCTION.match(line):
            instruction, kinds[found[1]] = found[1], found[2]
            inside.setdefault(computation, []).append(instruction)
            if named := re.search(r'op_name="([^"]*)"', line):
                names[instruction] = named[1]
            for called in re.findall(r"(?:calls|body|condition|to_apply)=%?([\w.-]+)", line):
                caller[called] = instruction
    home = {instruction: computation for computation, held in inside.items() for instruction in held}
    fused = {calling: computation for computation, calling in caller.items() if kinds[calling] == "fusion"}

    def name(instruction: str) -> str:
        """Its own part, else that of something fused into it, else that of the loop around it."""
        own = (names[i] for i in (instruction, *inside.get(fused.get(instruction, ""), ())) if i in names)
        around = caller.get(home[instruction])
        return next(own, "") or (name(around) if around else "")

    return {i: _part(name(i), kind) for i, kind in kinds.items() if kind not in _CONTROL}


def _part(name: str, kind: str) -> str:
    if kind.startswith("all-reduce"):
        return SUMS
    part = next((part for part, pattern in PARTS.items() if re.search(pattern, name)), REST)
    return part if part == REST else f"{part}, {'back' if _BACKWARD in name else 'forward'}"
