"""Test that a run survives kills: train once uninterrupted and once with `kill -9` at random times, and compare.

    python -m benchmarks.kills --kills 20
    python -m benchmarks.kills --kills 5 --longest 40 --run video_digits

ends with status 0 if every start resumed and the final states are equal bit for bit.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np

RUNS = {
    "quickstart": (
        "--config=configs/quickstart.py",
        "--config.images=384000",
        "--config.checkpoint.every_images=3200",
        "--config.samples.every_images=None",
        "--config.evaluation.samples=100",
        "--config.networks.generator.widths=(24,16,8)",
        "--config.networks.discriminator.widths=(8,16,24)",
    ),
    "video_digits": (
        "--config=configs/video_digits.py",
        "--config.images=57600",
        "--config.checkpoint.every_images=960",
        "--config.samples.every_images=None",
        "--config.evaluators={}",
        "--config.evaluation.features=motion",
        "--config.evaluation.samples=100",
    ),
}


def command(name: str, workdir: str) -> list[str]:
    """The run under test."""
    return [sys.executable, "-m", "jaxgan.main", f"--workdir={workdir}", *RUNS[name]]


def final_state(workdir: str) -> dict[str, np.ndarray]:
    """All arrays of the newest checkpoint by path."""
    import orbax.checkpoint as ocp

    from jaxgan.checkpoints.on_disk import ITEMS, absolute, steps_on_disk

    folder = absolute(workdir) / "checkpoints"
    step = steps_on_disk(folder)[-1]
    arrays: dict[str, np.ndarray] = {}
    for item in ITEMS:
        with ocp.StandardCheckpointer() as checkpointer:
            restored = checkpointer.restore(folder / str(step) / item)
        arrays |= {f"{item}/{name}": np.asarray(leaf) for name, leaf in restored.items()}
    return arrays


def main() -> int:
    """Run both and compare; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="quickstart", choices=RUNS)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=12.0, help="maximum number of seconds before a kill")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        unbroken, killed = f"{folder}/unbroken", f"{folder}/killed"
        start = time.monotonic()
        subprocess.run(command(arguments.run, unbroken), check=True, capture_output=True)
        print(f"unbroken run: {time.monotonic() - start:.0f} s", flush=True)
        for kill in range(arguments.kills):
            again = command(arguments.run, killed)
            process = subprocess.Popen(again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait = moments.uniform(0.5, arguments.longest)
            try:
                status = process.wait(wait)
                if status != 0:
                    print(f"start {kill + 1} ended with status {status}")
                    return 1
                print(f"start {kill + 1} finished before it was killed", flush=True)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                print(f"kill {kill + 1} after {wait:.1f} s", flush=True)
        subprocess.run(command(arguments.run, killed), check=True, capture_output=True)
        one, other = final_state(unbroken), final_state(killed)
        different = [n for n in one if n not in other or not np.array_equal(one[n], other[n], equal_nan=True)]
        print(f"{len(one)} arrays compared, {len(different)} differ {different[:3]}")
        return int(bool(different) or one.keys() != other.keys())


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    sys.exit(main())
