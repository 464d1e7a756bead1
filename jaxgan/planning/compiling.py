"""Compiles a train step for a TPU slice with the TPU compiler, in a separate process.

    python -m jaxgan.planning.compiling < REQUEST

prints the compiler's analysis of each program as a line of JSON. A separate process can have a time limit, and an
abort of the compiler (libtpu) does not end the caller.
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
from jaxgan.planning.chips import Topology, read_topologies
from jaxgan.system.json_files import read_json
from jaxgan.system.whole_files import replace_file

FORMAT = 3  # of the cached analyses
LIMIT = 20 * 60.0  # seconds per compilation
FULL = "Ran out of memory"  # in the compiler's most useful error line
ANSWER = "compiled: "  # prefix of answers, to distinguish them from other output
INSTALL = "pip install -e '.[plan]'"


class Compiled(NamedTuple):
    """One due set of a step on one slice. Bytes and operations are per chip."""

    topology: str
    batch_size: int
    phases: tuple[int, ...]
    share: float  # fraction of the steps
    model_flops: float  # matrix products and convolutions of the traced program
    flops: float  # of the compiled program, including elementwise work
    accessed: float  # bytes read and written in main memory
    sent: float  # bytes to other chips
    collectives: dict[str, float]  # counts by kind, including all iterations of loops
    unknown: int  # loops with an unknown number of iterations, counted as one
    params: int
    moments: int
    rest: int
    temporaries: int  # activations and the like, unless they stay inside the chip, and the program itself
    arguments: int
    seconds: float  # of compilation

    @property
    def needed(self) -> int:
        """Bytes of memory that a chip needs."""
        return self.arguments + self.temporaries


def check_compiler() -> None:
    """Raises UserError if the TPU compiler is not installed."""
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(f"--mode=plan needs the TPU compiler, which is not installed: {INSTALL}")


def compile_step(
    config: RunConfig,
    spec: DataSpec,
    topology: Topology,
    cache: Path,
    *,
    within: float = math.inf,
    allow: Sequence[str] = (),
) -> list[Compiled]:
    """Compiles the most frequent due set and, if it is another, the one with the most work.

    `allow` as in `make_task`. Raises UserError if the compiler rejects a program, or needs longer than LIMIT for one or
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
        with contextlib.suppress(BrokenPipeError):  # the error below says why it ended
            process.stdin.write(json.dumps(request, allow_nan=False) + "\n")
            process.stdin.flush()  # stdin stays open: when it is closed, the compiler process ends
        found: list[Compiled] = []
        limit = min(LIMIT, within)
        while line := _next_line(process, limit):
            if line.startswith(ANSWER):
                each = json.loads(line.removeprefix(ANSWER))
                found.append(Compiled(**{**each, "phases": tuple(each["phases"])}))
                limit = min(LIMIT, max(0.0, ends - time.monotonic()))
        if line is None:
            raise UserError(f"{topology}: compilation took longer than {limit:.0f} s")
        errors.seek(0)
        said = [each for each in errors.read().splitlines() if each.strip()]
    if process.returncode or not found:
        why = next((each for each in said if FULL in each), said[-1] if said else "no message")
        raise UserError(f"{topology}: the step cannot be compiled: {why[-600:]}")
    return found


def _next_line(process: subprocess.Popen[str], limit: float) -> str | None:
    """The next line of a process's output, "" at its end; None if the limit passes, at which it is killed."""
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
    """Answers the request in the first line of stdin. Ends when the requesting process ends."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_asker, daemon=True).start()
    answer(request)


def answer(request: Mapping[str, Any]) -> None:
    """Compiles the programs that `compile_step` requests, and prints a line for each."""
    from jax.experimental import topologies

    from jaxgan.parallel.flags import set_compiler_flags
    from jaxgan.parallel.mesh import check_batch, make_mesh
    from jaxgan.planning.program import dearest, make_program

    set_compiler_flags(platform="tpu")  # the same as on TPUs
    config = from_json(json.dumps(request["config"], allow_nan=False))
    fields = {name: Field(**field) for name, field in request["spec"]["fields"].items()}
    spec = DataSpec(**{**request["spec"], "fields": fields})
    topology = read_topologies(request["topology"])[0]
    # libtpu assumes hosts of four chips, of which a single chip is not a slice
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
    """The compiler's analysis of a program, which is cached."""
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
        with contextlib.suppress(OSError, ValueError, TypeError):  # a damaged one is rebuilt
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
        # the compiler counts one iteration of each loop
        "accessed": traffic if turns.loops else min(cost["bytes accessed"], traffic),
        "sent": sum(each.sent for each in sent),
        "collectives": {kind: sum(each.turns for each in sent if each.kind == kind) for kind in kinds},
        "unknown": turns.unknown,
        "temporaries": memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes  # the buffers of the input state are reused
        + memory.generated_code_size_in_bytes,
        "arguments": memory.argument_size_in_bytes,
        "seconds": time.monotonic() - started,
    }
    replace_file(path, json.dumps(analysis, allow_nan=False).encode())
    return analysis


if __name__ == "__main__":
    main()
