"""A train step compiled for a TPU slice by the TPU's own compiler, in a process of its own.

    python -m jaxgan.planning.compiling < REQUEST

prints what the compiler says of the program, as JSON. A process of its own can be given a time limit, and the
compiler (libtpu) may end it at will.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config import RunConfig, from_json, to_json
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.planning.chips import Topology, read_topologies

FORMAT = 2  # of what is kept of a compiled program
LIMIT = 20 * 60.0  # seconds a compile
FULL = "Ran out of memory"  # the most telling of the compiler's words
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
    collectives: dict[str, int]  # how many of which kind
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
    config: RunConfig, spec: DataSpec, topology: Topology, cache: Path, *, limit: float = LIMIT
) -> list[Compiled]:
    """The most frequent due set, and the one with the most work where that is another.

    Raises UserError where the compiler refuses the program or takes longer than `limit` seconds.
    """
    request = {
        "config": json.loads(to_json(config)),
        "spec": dataclasses.asdict(spec),
        "topology": str(topology),
        "cache": str(cache),
    }
    # no chip is held, so libtpu needs no lock against other processes
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
    command = [sys.executable, "-m", "jaxgan.planning.compiling"]
    try:
        done = subprocess.run(
            command, input=json.dumps(request), env=environment, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{topology}: compiling took longer than {limit:.0f} s") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        told = next((line for line in said if FULL in line), said[-1] if said else "it said nothing")
        raise UserError(f"{topology}: the step cannot be compiled: {told[-600:]}")
    return [Compiled(**{**each, "phases": tuple(each["phases"])}) for each in json.loads(lines[-1])]


def main() -> None:
    """Answers the request on stdin."""
    request = json.load(sys.stdin)
    from jax.experimental import topologies

    from jaxgan.parallel.flags import set_compiler_flags
    from jaxgan.parallel.mesh import check_batch, make_mesh
    from jaxgan.planning.program import dearest, make_program

    set_compiler_flags(platform="tpu")  # as on the real ones
    config, spec = from_json(json.dumps(request["config"])), DataSpec(**request["spec"])
    topology = read_topologies(request["topology"])[0]
    described = topologies.get_topology_desc(topology_name=str(topology), platform="tpu")
    mesh = make_mesh(config.parallel.mesh, described.devices)
    check_batch(config.batch_size, config.microbatches, mesh)
    program = make_program(config, spec, mesh)
    found = []
    for due in dearest(program):
        lowered = program.lower(due)
        common = {"topology": str(topology), "batch_size": config.batch_size, "phases": due, **program.held()}
        common |= {"share": program.due_sets[due], "model_flops": program.flops(due) / topology.chips}
        found.append({**common, **_analysis(lowered, topology, Path(request["cache"]))})
    print(json.dumps(found))


def _analysis(lowered: Any, topology: Topology, cache: Path) -> dict[str, Any]:
    """What the compiler says of a program; it is asked once for each."""
    from jaxgan.planning.collectives import find_collectives
    from jaxgan.planning.traffic import memory_traffic

    releases = [importlib.metadata.version(name) for name in ("jax", "libtpu")]
    said = os.environ.get("LIBTPU_INIT_ARGS", "")
    key = hashlib.sha256(
        "\n".join([str(FORMAT), lowered.as_text(), str(topology), *releases, said]).encode()
    ).hexdigest()
    path = cache / f"{key}.json"
    if path.exists():
        return json.loads(path.read_text())
    started = time.monotonic()
    compiled = lowered.compile()
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    text = compiled.as_text()
    sent = find_collectives(text, topology.chips)
    kinds = sorted({each.kind for each in sent})
    analysis = {
        "flops": cost["flops"],
        "accessed": min(cost["bytes accessed"], memory_traffic(text)),
        "sent": sum(each.sent for each in sent),
        "collectives": {kind: sum(each.kind == kind for each in sent) for kind in kinds},
        "temporaries": memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes  # the state that goes in is used up
        + memory.generated_code_size_in_bytes,
        "arguments": memory.argument_size_in_bytes,
        "seconds": time.monotonic() - started,
    }
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(analysis))
    part.replace(path)
    return analysis


if __name__ == "__main__":
    main()
