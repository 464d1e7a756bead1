"""Time from process start to the end of the first step, with an empty and a filled compilation cache.

python -m benchmarks.startup --config configs/quickstart.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time


def seconds_to_first_step(config: str, cache: str) -> float:
    """Seconds from the start of a new run to the line that reports its first step."""
    with tempfile.TemporaryDirectory() as workdir:
        command = [sys.executable, "-m", "jaxgan.main", "--config", config, "--workdir", f"{workdir}/run"]
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": cache},
        )
        assert process.stdout is not None
        for line in process.stdout:
            if "first step" in line:
                elapsed = time.perf_counter() - start
                process.kill()
                process.wait()
                return elapsed
        raise RuntimeError(f"{' '.join(command)} ended before its first step")


def main() -> None:
    """Time three starts with an empty cache and three with a filled one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/quickstart.py")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as cache:
            cold = seconds_to_first_step(arguments.config, cache)
            warm = seconds_to_first_step(arguments.config, cache)
        print(
            f"first start {cold:.1f} s, with a filled cache {warm:.1f} s, {1 - warm / cold:.0%} less",
            flush=True,
        )


if __name__ == "__main__":
    main()
