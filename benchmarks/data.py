"""Images per second delivered by a data set, by kind of cache.

python -m benchmarks.data --name jaxgan_digits
"""

from __future__ import annotations

import argparse
import time

from jaxgan.building.pipelines import make_pipeline
from jaxgan.config.run import DataConfig
from jaxgan.system.paths import expanded


def main() -> None:
    """Time each kind of cache."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="jaxgan_digits")
    parser.add_argument("--data-dir", type=expanded)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    for cache in ("device", "host", "stream"):
        start = time.perf_counter()
        config = DataConfig(name=arguments.name, data_dir=arguments.data_dir, cache=cache)
        batches = make_pipeline(config, seed=0).batches(0, arguments.batch_size, slice(0, arguments.batch_size))
        next(batches)
        opened, count = time.perf_counter(), 0
        while time.perf_counter() - opened < arguments.seconds:
            next(batches)
            count += arguments.batch_size
        rate = count / (time.perf_counter() - opened)
        print(f"{cache:8} {rate:12,.0f} images/s   first batch after {opened - start:.2f} s", flush=True)


if __name__ == "__main__":
    main()
