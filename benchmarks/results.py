"""Long results: trainings whose scores stand in docs/results.md.

    python -m benchmarks.results vanilla_gan --data-dir DATA_DIR

trains each seed of an experiment in a workdir of its own under `--workdir` and appends one record a
score to docs/results/NAME.jsonl: commit, hash of the config, seed, images and figures. It continues
where it stopped: runs resume, and what has a record is not run again. `--table` prints mean and spread.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A config, what is changed in it, and after how many images its scores are recorded."""

    config: str
    changes: Mapping[str, Any]
    images: tuple[int, ...]
    seeds: tuple[int, ...] = (0, 1, 2)


FASHION = {"data.name": "fashion_mnist"}
EPOCH = 60_000
EXPERIMENTS = {
    "vanilla_gan": Experiment(
        "configs/vanilla_gan.py",
        {**FASHION, "epochs": 20, "evaluation.every_images": 5 * EPOCH},
        images=(5 * EPOCH, 20 * EPOCH),
    ),
    "dcgan_mnist": Experiment("configs/dcgan_mnist.py", {**FASHION, "epochs": 5}, images=(5 * EPOCH,)),
}


def main() -> None:
    """Run what has no record yet, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--data-dir", help="where the tfds data sets lie")
    parser.add_argument("--workdir", default="runs/results", help="where the runs lie")
    parser.add_argument("--table", action="store_true", help="print the records' table and run nothing")
    arguments = parser.parse_args()
    records = ROOT / "docs" / "results" / f"{arguments.name}.jsonl"
    if not arguments.table:
        for seed in EXPERIMENTS[arguments.name].seeds:
            _run(arguments.name, seed, records, pathlib.Path(arguments.workdir), arguments.data_dir)
    print(_table(_read(records)))


def _run(name: str, seed: int, records: pathlib.Path, workdirs: pathlib.Path, data_dir: str | None) -> None:
    experiment, workdir = EXPERIMENTS[name], workdirs / f"{name}-{seed}"
    changes = {**experiment.changes, "seed": seed}
    digest = _config_hash(experiment.config, changes)
    done = {r["images"] for r in _read(records) if r["seed"] == seed and r["config_hash"] == digest}
    if done >= set(experiment.images):
        return
    flags = [f"--config.{key}={value}" for key, value in changes.items()]
    flags += [f"--config.data.data_dir={data_dir}"] if data_dir else []
    start, commit = time.time(), _commit()
    command = [
        sys.executable,
        "-m",
        "jaxgan.main",
        "--config",
        experiment.config,
        "--workdir",
        str(workdir),
        *flags,
    ]
    subprocess.run(command, check=True, cwd=ROOT)
    for images in set(experiment.images) - done:
        record = {"commit": commit, "config_hash": digest, "seed": seed, "images": images}
        record |= {"scores": _scores(workdir, images), "seconds_this_start": round(time.time() - start)}
        _append(records, record)


def _config_hash(config: str, changes: Mapping[str, Any]) -> str:
    from jaxgan.config import fingerprint, load_config

    return fingerprint(load_config(str(ROOT / config), {key: str(value) for key, value in changes.items()}))


def _commit() -> str:
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], check=True, capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "--", "jaxgan", "configs"], capture_output=True, text=True)
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def _scores(workdir: pathlib.Path, images: int) -> dict[str, float]:
    """The first scores of a run at or after so many images."""
    rows = map(json.loads, (workdir / "scalars.jsonl").read_text().splitlines())
    scored = (row for row in rows if any(name.startswith(("frechet", "swd")) for name in row["scalars"]))
    return next(row["scalars"] for row in scored if row["images"] >= images)


def _read(records: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []


def _append(records: pathlib.Path, record: Mapping[str, Any]) -> None:
    records.parent.mkdir(parents=True, exist_ok=True)
    with records.open("a") as file:
        file.write(json.dumps(record) + "\n")


def _table(records: list[dict[str, Any]]) -> str:
    """A Markdown table: one row for each number of images, mean and standard deviation over seeds."""
    lines: list[str] = []
    for images in sorted({record["images"] for record in records}):
        rows = [record["scores"] for record in records if record["images"] == images]
        names = sorted(set.intersection(*(set(row) for row in rows)))
        if not lines:
            features = sorted({name.partition("/")[2] for name in names})
            heads = [name.partition("/")[0] for name in names]
            lines = [f"Features: {', '.join(features)}.", "", f"| images | seeds | {' | '.join(heads)} |"]
            lines.append("|---" * (len(names) + 2) + "|")
        cells = [_mean_and_spread([row[name] for row in rows]) for name in names]
        lines.append(f"| {images:,} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean_and_spread(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {spread:.3f}"


if __name__ == "__main__":
    main()
