"""A train step compiled for a TPU slice by the TPU's own compiler, in a process of its own.

    python -m jaxgan.planning.compiling < REQUEST

prints what the compiler says of each program as a line of JSON. A process of its own can be given a time limit, and the
compiler (libtpu) may end it at will.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config.run import RunConfig, from_json, to_json
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import Field
from jaxgan.media.images import replace_file
from jaxgan.planning.chips import Topology, read_topologies
from jaxgan.system.json_files import read_json

FORMAT = 3  # of what is kept of a compiled program
LIMIT = 20 * 60.0  # seconds a compile
FULL = "Ran out of memory"  # the most telling of the compiler's words
ANSWER = "compiled: "  # before each answer, to tell it from what others may print
INSTALL = "pip install -e '.[plan]'"


class Compiled(NamedTuple):
    """One due set of a step on one slice; bytes and operations are of a chip."""

    topology: str
    batch_size: int
    phases: tuple[int, ...]
    share: float  # of the steps
    model_flops: float  # matrix products and convolutions of the traced program
    flops: float  # of the compiled one, elementwise work too
    accessed: float  # bytes read and written in main memory
    sent: float  # bytes to other chips
    collectives: dict[str, float]  # how many of which kind, in all turns of loops
    unknown: int  # loops whose number of turns is not known, counted as one
    params: int
    moments: int
    rest: int
    temporaries: int  # of activations and the like, where they are not kept inside the chip; and the program itself
    arguments: int
    seconds: float  # of compiling

    @property
    def needed(self) -> int:
        """Bytes of memory."""
        return self.arguments + self.temporaries


def check_compiler() -> None:
    """Raises UserError where the TPU's compiler is not installed."""
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(f"--mode=plan compiles with the TPU's compiler, which is not installed: {INSTALL}")


def compile_step(
    config: RunConfig,
    spec: DataSpec,
    topology: Topology,
    cache: Path,
    *,
    within: float = math.inf,
    allow: Sequence[str] = (),
) -> list[Compiled]:
    """The most frequent due set, and the one with the most work where that is another.

    `allow` as in `make_task`. Raises UserError where the compiler refuses a program, takes longer than LIMIT for it, or
    than `within` seconds for all.
    """
    request = {
        "config": json.loads(to_json(config)),
        "spec": dataclasses.asdict(spec),
        "topology": str(topology),
        "cache": str(cache),
        "allow": list(allow),
    }
    # no chip is held, so libtpu needs no lock against other processes
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
    command, ends = [sys.executable, "-m", "jaxgan.planning.compiling"], time.monotonic() + within
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what it died of is told below
            process.stdin.write(json.dumps(request, allow_nan=False) + "\n")
            process.stdin.flush()  # and open it stays: its end tells the compiler that nobody waits any more
        found: list[Compiled] = []
        limit = min(LIMIT, within)
        while line := _next_line(process, limit):
            if line.startswith(ANSWER):
                each = json.loads(line.removeprefix(ANSWER))
                found.append(Compiled(**{**each, "phases": tuple(each["phases"])}))
                limit = min(LIMIT, max(0.0, ends - time.monotonic()))
        if line is None:
            raise UserError(f"{topology}: compiling took longer than {limit:.0f} s")
        errors.seek(0)
        said = [each for each in errors.read().splitlines() if each.strip()]
    if process.returncode or not found:
        told = next((each for each in said if FULL in each), said[-1] if said else "it said nothing")
        raise UserError(f"{topology}: the step cannot be compiled: {told[-600:]}")
    return found


def _next_line(process: subprocess.Popen[str], limit: float) -> str | None:
    """What a process writes next, "" at its end; None where it takes longer than the limit: then it is killed."""
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        process.kill()

    timer = threading.Timer(limit, kill)
    timer.start()
    assert process.stdout is not None
    line = process.stdout.readline()
    timer.cancel()
    return None if killed.is_set() else line


def main() -> None:
    """Answers the request in the first line of stdin; ends with the process that asked."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_asker, daemon=True).start()
    answer(request)


def answer(request: Mapping[str, Any]) -> None:
    """Compiles what `compile_step` asks for, and prints a line for each program."""
    from jax.experimental import topologies

    from jaxgan.parallel.flags import set_compiler_flags
    from jaxgan.parallel.mesh import check_batch, make_mesh
    from jaxgan.planning.program import dearest, make_program

    set_compiler_flags(platform="tpu")  # as on the real ones
    config = from_json(json.dumps(request["config"], allow_nan=False))
    fields = {name: Field(**field) for name, field in request["spec"]["fields"].items()}
    spec = DataSpec(**{**request["spec"], "fields": fields})
    topology = read_topologies(request["topology"])[0]
    # libtpu takes hosts for such of four chips, on which a single one is no slice
    alone = {"chips_per_host_bounds": (1, 1, 1)} if topology.chips == 1 else {}
    described = topologies.get_topology_desc(topology_name=str(topology), platform="tpu", **alone)
    mesh = make_mesh(config.parallel.mesh, described.devices)
    check_batch(config.batch_size, config.microbatches, mesh)
    program = make_program(config, spec, mesh, tuple(request["allow"]))
    for due in dearest(program):
        lowered = program.lower(due)
        common = {"topology": str(topology), "batch_size": config.batch_size, "phases": due, **program.held()}
        common |= {"share": program.due_sets[due], "model_flops": program.flops(due) / topology.chips}
        found = {**common, **_analysis(lowered, topology, Path(request["cache"]))}
        print(ANSWER + json.dumps(found, allow_nan=False), flush=True)


def _end_with_asker() -> None:
    os.read(sys.stdin.fileno(), 1)  # until its end
    os._exit(1)


def _analysis(lowered: Any, topology: Topology, cache: Path) -> dict[str, Any]:
    """What the compiler says of a program; it is asked once for each."""
    from jaxgan.planning.collectives import find_collectives
    from jaxgan.planning.hlo import count_turns, read_program
    from jaxgan.planning.traffic import memory_traffic

    releases = [importlib.metadata.version(name) for name in ("jax", "libtpu")]
    said = os.environ.get("LIBTPU_INIT_ARGS", "")
    key = hashlib.sha256(
        "\n".join([str(FORMAT), lowered.as_text(), str(topology), *releases, said]).encode()
    ).hexdigest()
    path = cache / f"{key}.json"
    if path.exists():
        with contextlib.suppress(OSError, ValueError, TypeError):  # a damaged one is made anew
            if set(kept := read_json(path)) >= {"flops", "accessed", "sent", "temporaries", "arguments"}:
                return kept
    started = time.monotonic()
    compiled = lowered.compile()
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    text = read_program(compiled.as_text())
    turns = count_turns(text)
    sent = list(find_collectives(text, turns, topology.chips))
    traffic = memory_traffic(text, turns)
    kinds = sorted({each.kind for each in sent})
    analysis = {
        "flops": cost["flops"],
        # the compiler's own count is of one turn of each loop
        "accessed": traffic if turns.loops else min(cost["bytes accessed"], traffic),
        "sent": sum(each.sent for each in sent),
        "collectives": {kind: sum(each.turns for each in sent if each.kind == kind) for kind in kinds},
        "unknown": turns.unknown,
        "temporaries": memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes  # the state that goes in is used up
        + memory.generated_code_size_in_bytes,
        "arguments": memory.argument_size_in_bytes,
        "seconds": time.monotonic() - started,
    }
    replace_file(path, json.dumps(analysis, allow_nan=False).encode())
    return analysis


if __name__ == "__main__":
    main()
