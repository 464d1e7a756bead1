"""Bytes per device for several `config.parallel.mesh.fsdp`: params, moments, and the temporaries of the step.

    python -m benchmarks.fsdp --config configs/stylegan2.py --resolution 64 --json out.json

Simulated devices on CPU. `held`: the shards of the state that lie on the first device; `arguments` and `temporaries`:
the memory analysis of the compiled step, batch included in the first. Only `temporaries` depend on the platform.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
from typing import Any

from jaxgan.system.paths import expanded


def measure(path: str, resolution: int, batch_size: int, devices: int, fsdp: int) -> dict[str, Any]:
    """Bytes per device, for a mesh of `devices` devices with an `fsdp` axis."""
    import jax
    import numpy as np

    from jaxgan.building.assemble import fill_in, make_task
    from jaxgan.building.parts import make_init, make_optimizers, make_step, root_key
    from jaxgan.config.overrides import load_config
    from jaxgan.data.sources import DataSpec
    from jaxgan.fields import picture_fields
    from jaxgan.parallel.mesh import make_mesh
    from jaxgan.parallel.placement import replicated, split_batch
    from jaxgan.parallel.runners import JitRunner
    from jaxgan.training.feed import make_play
    from jaxgan.training.step import due_phases

    config = load_config(path, {"data.resolution": str(resolution), "batch_size": str(batch_size)})
    spec = DataSpec(
        "stand-in", "train", 1000, picture_fields(resolution, resolution, 3, tuple(map(str, range(10)))), "0" * 16
    )
    config = fill_in(config, spec)
    task = make_task(config)
    optimizers = make_optimizers(config, task)
    mesh = make_mesh({"data": -1, "fsdp": fsdp}, jax.devices()[:devices])
    runner = JitRunner(make_play(make_step(config, task, optimizers), spec.fields, root_key(config)), mesh)

    state = runner.init(make_init(config, task, optimizers, spec))
    first = mesh.devices.flat[0]
    held: dict[str, int] = {}
    for field in ("params", "opt_state", "ema_params"):
        shards = [shard for leaf in jax.tree.leaves(getattr(state, field)) for shard in leaf.addressable_shards]
        held[field] = sum(shard.data.nbytes for shard in shards if shard.device == first)
    abstract = runner.place(state)
    del state

    cache = {"image": jax.ShapeDtypeStruct((1000, resolution, resolution, 3), np.uint8, sharding=replicated(mesh))}
    if spec.classes:
        cache["label"] = jax.ShapeDtypeStruct((1000,), np.int32, sharding=replicated(mesh))
    rows = {"index": jax.ShapeDtypeStruct((batch_size,), np.int32, sharding=split_batch(mesh))}
    analysis = runner.lower(abstract, cache, [rows], [due_phases(task.phases(), 0, 0)]).compile().memory_analysis()
    if analysis is None:
        raise SystemExit("this version of jax has no memory analysis of compiled programs")
    return {
        "fsdp": fsdp,
        "held": held,
        "arguments": analysis.argument_size_in_bytes,
        "temporaries": analysis.temp_size_in_bytes,
    }


def main() -> None:
    """Print the table for one config."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/stylegan2.py")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--devices", type=int, default=4)
    parser.add_argument("--json", type=expanded, help="where to write the table")
    arguments = parser.parse_args()
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={arguments.devices}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    sizes = [size for size in (1, 2, 4, 8, 16) if arguments.devices % size == 0]
    table = []
    print("MB per device: fsdp   params  moments  average  together      arguments  temporaries", flush=True)
    for fsdp in sizes:
        row = measure(arguments.config, arguments.resolution, arguments.batch_size, arguments.devices, fsdp)
        table.append(row)
        held = [row["held"][field] / 1e6 for field in ("params", "opt_state", "ema_params")]
        share = sum(held) * 1e6 / sum(table[0]["held"].values())
        print(
            f"             {fsdp:4} {held[0]:8.1f} {held[1]:8.1f} {held[2]:8.1f} {sum(held):8.1f} ({share:.1%})"
            f" {row['arguments'] / 1e6:8.1f} {row['temporaries'] / 1e6:8.1f}",
            flush=True,
        )
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
