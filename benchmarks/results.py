"""Long results: trainings whose scores are in docs/results.md.

    python -m benchmarks.results shelf --data-dir DATA_DIR

trains each config and seed of an experiment in a workdir of its own under `--workdir` and appends one
record a score to docs/results/NAME.jsonl: commit, hash of the config, seed, images seen and figures. An experiment
ends after so many images, or after so many minutes from the start of the process, compiling included. It continues
where it stopped: what has a record is not run again, runs of a number of images resume, and those of a number of
minutes start anew. Records of configs that were changed since do not count. `--table` prints mean and spread.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from jaxgan.config.overrides import load_config
from jaxgan.config.run import fingerprint
from jaxgan.errors import FINISHED, INTERRUPTED
from jaxgan.system.paths import expanded

ROOT = pathlib.Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Configs by the name of their row, changes made to all of them, and when they are scored.

    After each of `images` images; or, with `minutes`, once after so long.
    """

    configs: Mapping[str, str]
    changes: Mapping[str, Any]
    images: tuple[int, ...] = ()
    minutes: float | None = None
    frames: int | None = None  # for clips: scored only at the end, also on their last frames and with controls
    seeds: tuple[int, ...] = (0, 1, 2)


def _on_films(**settings: Any) -> dict[str, Any]:
    """Evaluators of restored films, one for each held-out film of `jaxgan_clips`, in clips of 40 frames."""
    data = {"frames": 40, "hop": None}
    return {
        film: {
            "name": "reconstruction.Reconstruction",
            "data": {**data, "evaluation_split": f"test_{film}"},
            **settings,
        }
        for film in ("carphone", "bikes")
    }


FASHION = {"data.name": "fashion_mnist"}
EPOCH = 60_000
SHELF = ("dcgan_mnist", "sngan_fashion", "stylegan2_fashion", "r3gan_fashion")
NO_END = 1_000_000_000  # images
STACKED_IMAGES = 300_000
EXPERIMENTS = {
    "vanilla_gan": Experiment(
        {"vanilla_gan": "configs/vanilla_gan.py"},
        {**FASHION, "epochs": 20, "evaluation.every_images": 5 * EPOCH},
        images=(5 * EPOCH, 20 * EPOCH),
    ),
    "dcgan_mnist": Experiment({"dcgan_mnist": "configs/dcgan_mnist.py"}, {**FASHION, "epochs": 5}, images=(5 * EPOCH,)),
    "shelf": Experiment(
        {name.partition("_")[0]: f"configs/{name}.py" for name in SHELF},
        {**FASHION, "images": NO_END, "evaluation.samples": 10_000, "compilation_cache": False},
        minutes=8,
        seeds=(0, 1),
    ),
    "stacked": Experiment(
        {
            "non-saturating": "configs/stacked_mnist.py",
            "relativistic, R1, R2": "configs/stacked_mnist.py:relativistic",
        },
        {"data.name": "stacked:fashion_mnist", "images": STACKED_IMAGES},
        images=(STACKED_IMAGES,),
        seeds=(0, 1),
    ),
    "video_digits": Experiment({"video_digits": "configs/video_digits.py"}, {}, images=(672_000,), frames=64),
    "video_frames": Experiment(
        {"video_digits:frames": "configs/video_digits.py:frames"}, {}, images=(672_000,), frames=64, seeds=(0,)
    ),
    "video_super_resolution": Experiment(
        {
            "vsr_clips": "configs/vsr_clips.py",
            "vsr_clips:alone": "configs/vsr_clips.py:alone",
        },
        {"evaluators": _on_films()},
        images=(196_000,),
        seeds=(0, 1),
    ),
    "video_adversarial": Experiment(
        {"vsr_clips:tecogan": "configs/vsr_clips.py:tecogan"},
        {"evaluators": _on_films()},
        images=(196_000, 252_000),
        seeds=(0,),
    ),
    "video_denoising": Experiment(
        {"vdenoise_clips": "configs/vdenoise_clips.py", "vdenoise_clips:alone": "configs/vdenoise_clips.py:alone"},
        {"evaluators": _on_films(scored={"name": "clip_degradations.MappedNoise", "strength": 25.0})},
        images=(100_800,),
        seeds=(0,),
    ),
    "video_inpainting": Experiment(
        {"vinpaint_clips": "configs/vinpaint_clips.py", "vinpaint_clips:alone": "configs/vinpaint_clips.py:alone"},
        {"evaluators": _on_films(scored={"name": "clip_degradations.ClipMasks", "moving": 1.0})},
        images=(61_600, 72_800),
        seeds=(0,),
    ),
    "super_resolution": Experiment(
        {"srgan_photos": "configs/srgan_photos.py"}, {}, images=(56_000, 80_000), seeds=(0,)
    ),
    "denoising": Experiment({"denoise_photos": "configs/denoise_photos.py"}, {}, images=(72_000,), seeds=(0,)),
    "translation": Experiment({"edges2photo": "configs/edges2photo.py"}, {}, images=(32_000,), seeds=(0,)),
    "inpainting": Experiment({"inpaint_photos": "configs/inpaint_photos.py"}, {}, images=(5_600, 6_400), seeds=(0,)),
}


LAST = "last/"  # prefix of scores of the last frames of longer clips
RESTORED = {
    "psnr": "PSNR, dB",
    "psnr_y": "PSNR of luma, dB",
    "ssim": "SSIM",
    "swd": "sliced Wasserstein",
    "tof": "tOF, pixels",  # this score and those below are for clips
    "warping_error": "warping error / 1000",
    "flicker": "flicker, levels",
}


class Run:
    """One config of an experiment with one seed."""

    def __init__(self, name: str, row: str, seed: int, workdirs: pathlib.Path, data_dir: str | None):
        """Read the config; nothing is started."""
        self.experiment, self.row, self.seed = EXPERIMENTS[name], row, seed
        self.config = self.experiment.configs[row]
        parts = [name, *([row] if len(self.experiment.configs) > 1 else []), str(seed)]
        self.workdir = workdirs / "-".join(parts).replace(" ", "").replace(",", "-")
        changes = {key: str(value) for key, value in {**self.experiment.changes, "seed": seed}.items()}
        path, colon, argument = self.config.partition(":")
        self.digest = fingerprint(load_config(f"{ROOT / path}{colon}{argument}", changes))
        self.flags = [f"--config.{key}={value}" for key, value in changes.items()]
        self.flags += [f"--config.data.data_dir={data_dir}"] if data_dir else []

    def made(self, record: Mapping[str, Any]) -> bool:
        """Whether a record belongs to this run; not if its config has changed since."""
        return record["seed"] == self.seed and record["config_hash"] == self.digest

    def missing(self, records: list[dict[str, Any]]) -> set[int]:
        """The numbers of images without a record; for a run limited by time, {0} if it has no record."""
        mine = list(filter(self.made, records))
        if self.experiment.minutes is not None:
            return set() if any(r.get("minutes") == self.experiment.minutes for r in mine) else {0}
        return set(self.experiment.images) - {r["images"] for r in mine}

    def play(self, missing: set[int]) -> list[dict[str, Any]]:
        """Train and yield the missing records. Raises CalledProcessError if a process fails."""
        start = time.time()
        common = {"commit": _commit(), "config_hash": self.digest, "config": self.row, "seed": self.seed}
        if self.experiment.minutes is not None:
            figures = [{"minutes": self.experiment.minutes, **self._play_for(60 * self.experiment.minutes)}]
        else:
            subprocess.run(self._command("train"), check=True, cwd=ROOT)
            figures = (
                [{"images": images, "scores": _scores(self.workdir, images)} for images in sorted(missing)]
                if self.experiment.frames is None
                else [self._evaluated()]
            )
        return [{**common, **figure, "seconds_this_start": round(time.time() - start)} for figure in figures]

    def _play_for(self, seconds: float) -> dict[str, Any]:
        """Train for a given time in a new workdir; returns the scores afterwards."""
        shutil.rmtree(self.workdir, ignore_errors=True)
        train = subprocess.Popen(self._command("train"), cwd=ROOT)
        try:
            status = train.wait(seconds)
        except subprocess.TimeoutExpired:
            train.send_signal(signal.SIGTERM)
            status = train.wait()
        if status not in (INTERRUPTED, FINISHED):
            raise subprocess.CalledProcessError(status, train.args)
        return self._evaluated()

    def _evaluated(self) -> dict[str, Any]:
        """The scores of the last checkpoint, and of the controls if there are any."""
        subprocess.run(self._command("evaluate"), check=True, cwd=ROOT)
        newest = max(self.workdir.glob("scores-*.json"), key=lambda path: int(path.stem.partition("-")[2]))
        report = json.loads(newest.read_text())
        return {name: report[name] for name in ("images", "scores", "controls") if name in report}

    def _command(self, mode: str) -> list[str]:
        jaxgan = [sys.executable, "-m", "jaxgan.main", f"--mode={mode}", "--workdir", str(self.workdir.absolute())]
        if mode == "evaluate":
            return jaxgan if self.experiment.frames is None else [*jaxgan, f"--frames={self.experiment.frames}"]
        return [*jaxgan, "--config", self.config, *self.flags]


def main() -> None:
    """Run everything without a record, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--data-dir", type=expanded, help="directory of the tfds data sets")
    parser.add_argument("--workdir", type=expanded, default="runs/results", help="directory of the runs")
    parser.add_argument("--table", action="store_true", help="print the records' table and run nothing")
    arguments = parser.parse_args()
    path = ROOT / "docs" / "results" / f"{arguments.name}.jsonl"
    experiment, workdirs = EXPERIMENTS[arguments.name], pathlib.Path(arguments.workdir)
    runs = [  # all configs with one seed first, so that partial results are comparable
        Run(arguments.name, row, seed, workdirs, arguments.data_dir)
        for seed in experiment.seeds
        for row in experiment.configs
    ]
    for run in [] if arguments.table else runs:
        missing = run.missing(_read(path))
        for record in run.play(missing) if missing else []:
            _append(path, record)
    print(_table(experiment, [record for record in _read(path) if any(run.made(record) for run in runs)]))


def _commit() -> str:
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], check=True, capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "--", "jaxgan", "configs"], capture_output=True, text=True)
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def _scores(workdir: pathlib.Path, images: int) -> dict[str, float]:
    """The first scores of a run at or after this many images."""
    rows = map(json.loads, (workdir / "scalars.jsonl").read_text().splitlines())
    parts = ("frechet", "swd")  # of score names, after the names of their evaluators
    scored = (row for row in rows if any(part.startswith(parts) for name in row["scalars"] for part in name.split("/")))
    found = next(row["scalars"] for row in scored if row["images"] >= images)
    return {name: value for name, value in found.items() if not name.startswith("held_out/")}


def _read(records: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []


def _append(records: pathlib.Path, record: Mapping[str, Any]) -> None:
    records.parent.mkdir(parents=True, exist_ok=True)
    with records.open("a") as file:
        file.write(json.dumps(record, allow_nan=False) + "\n")


def _table(experiment: Experiment, records: list[dict[str, Any]]) -> str:
    """A Markdown table: one row for each config and length, means over the seeds with their spread or values."""
    groups: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for record in records:
        row = record.get("config", next(iter(experiment.configs)))
        groups.setdefault((row, record.get("minutes", record["images"])), []).append(record)
    if not groups:
        return "no records yet"
    if any(name.startswith("psnr/") or "/psnr/" in name for name in records[0]["scores"]):
        return _restored(records)
    known = set.intersection(*(set(record["scores"]) for record in records))
    names = sorted(name for name in known if not name.startswith(LAST))
    features = sorted({name.rpartition("/")[2] for name in names})
    heads = ["config", "images", "seeds", *(name.rpartition("/")[0] for name in names)]
    lines = [f"Features: {', '.join(features)}.", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for (row, _), group in groups.items():
        images = " ".join(f"{number:,}" for number in sorted({record["images"] for record in group}))
        for prefix, what in (("", row), (LAST, f"{row}, the last frames")):
            if all(prefix + name in known for name in names):
                cells = [_summary([record["scores"][prefix + name] for record in group]) for name in names]
                lines.append(f"| {what} | {images} | {len(group)} | {' | '.join(cells)} |")
    for control, scores in records[-1].get("controls", {}).items():  # only for clips
        lines.append(f"| {control} | | | {' | '.join(f'{scores[name]:.3f}' for name in names)} |")
    return "\n".join(lines)


def _restored(records: list[dict[str, Any]]) -> str:
    """Markdown tables of restorations, one for each evaluator, including the methods without training.

    Of one seed: the means over the held-out pictures or clips and, where each is scored, their standard deviation.
    """
    names: list[str] = [name for name in records[0]["scores"] if name.startswith("psnr/") or "/psnr/" in name]
    return "\n\n".join(_restored_by(*name.partition("psnr/")[::2], records) for name in names)


def _restored_by(evaluator: str, label: str, records: list[dict[str, Any]]) -> str:
    """The table of one evaluator: a row for each record and for the methods without training."""
    scores: Mapping[str, float] = records[0]["scores"]
    columns = {name: head for name, head in RESTORED.items() if f"{evaluator}{name}/{label}" in scores}
    heads = ["method", "images", *columns.values()]
    held_out = evaluator.strip("/") or ("clips" if "flicker" in columns else "pictures")
    lines = [f"Held-out {held_out}, {label}.", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    rows = [
        (f"{record.get('config')}, seed {record['seed']}", f"{record['images']:,}", "", record) for record in records
    ]
    first, last = f"{evaluator}swd_", f"/{label}"  # a score without deviation; it is followed by the name of a method
    methods = [name[len(first) : -len(last)] for name in scores if name.startswith(first) and name.endswith(last)]
    methods += ["original"] if f"{evaluator}flicker_original/{label}" in scores else []
    rows += [(name.replace("_", " "), "", f"_{name}", records[0]) for name in sorted(methods)]
    for name, images, suffix, record in rows:
        cells = [_with_spread(record["scores"], f"{evaluator}{score}{suffix}", label) for score in columns]
        lines.append(f"| {name} | {images} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _with_spread(scores: Mapping[str, float], name: str, label: str) -> str:
    """Empty if there is no such score."""
    spread, value = scores.get(f"{name}_std/{label}"), scores.get(f"{name}/{label}")
    digits = 3 if name.rpartition("/")[2].startswith(("ssim", "tof", "warping")) else 2
    return "" if value is None else f"{value:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")


def _summary(values: list[float]) -> str:
    """Mean and standard deviation; for two seeds the mean and both values."""
    mean = statistics.mean(values)
    if len(values) == 2:
        return f"{mean:.3f} ({values[0]:.3f}, {values[1]:.3f})"
    return f"{mean:.3f} ± {statistics.stdev(values) if len(values) > 1 else 0.0:.3f}"


if __name__ == "__main__":
    main()
