"""Compile time of each config's train step at 32 pixels, by set of due phases.

    python -m benchmarks.compiling --configs stylegan2_fashion r3gan_cifar10 --json out.json

Tracing, lowering and compiling in a fresh process state, without a compilation cache.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import time

from jaxgan.system.paths import expanded

ROOT = pathlib.Path(__file__).parent.parent
NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


def seconds(name: str) -> dict[str, float]:
    """Seconds by the set of phases in a step."""
    import jax
    import numpy as np

    from jaxgan.building.assemble import fill_in, make_task
    from jaxgan.building.parts import make_init, make_optimizers, make_step, root_key
    from jaxgan.config.overrides import load_config
    from jaxgan.data.sources import DataSpec
    from jaxgan.fields import picture_fields
    from jaxgan.parallel.compiler import compiler_options
    from jaxgan.training.step import due_phases

    config = load_config(str(ROOT / "configs" / f"{name}.py"), {"data.resolution": "32", "parallel.runner": "jit"})
    channels = 3 if name.startswith("stacked") else config.data.channels or 1
    spec = DataSpec("stand-in", "train", 1000, picture_fields(32, 32, channels, tuple(map(str, range(10)))), "0" * 16)
    config = fill_in(config, spec)
    task = make_task(config)
    phases, optimizers = task.phases(), make_optimizers(config, task)
    state = jax.eval_shape(make_init(config, task, optimizers, spec))
    rows = config.batch_size
    batch = {
        "image": jax.ShapeDtypeStruct((rows, 32, 32, channels), np.float32),
        "label": jax.ShapeDtypeStruct((rows,), np.int32),
    }
    step, options = make_step(config, task, optimizers), compiler_options(jax.default_backend())
    last = max(phase.start for phase in phases)  # the last stage, which is the largest
    found = {}
    for due in sorted({due_phases(phases, number, last) for number in range(64)}):
        start = time.perf_counter()
        function = jax.jit(lambda s, b, due=due: step(s, b, root_key(config), due), compiler_options=options)
        function.lower(state, batch).compile()
        found[" + ".join(phases[index].name for index in due)] = round(time.perf_counter() - start, 1)
    return found


def main() -> None:
    """Compile each config's steps and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--json", type=expanded, help="where to write the table")
    arguments = parser.parse_args()
    table = {}
    for name in arguments.configs:
        table[name] = seconds(name)
        for due, time_taken in table[name].items():
            print(f"{name:18} {time_taken:6.1f} s  {due}", flush=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
