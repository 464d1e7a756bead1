"""How far the score of pictures without labels can be trusted.

    python -m benchmarks.trust ladders
    python -m benchmarks.trust runs --workdir runs/trust

`ladders` spoils held-out real pictures step by step (blur, noise, JPEG, kinds of pictures left out) and prints the
Frechet distances in the features of a network that trained itself, of the same network untrained, and, of the digits,
of the classifier: each row must rise. `runs` trains on the digits without their labels (and one run without penalties,
which collapses), scores checkpoint after checkpoint in all of these and by patches, and prints how well the ranks agree
with those by the classifier. Both keep what they trained in the workdir.
"""

from __future__ import annotations

import argparse
import io
import itertools
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from jaxgan.building.opening import open_source
from jaxgan.config.run import DataConfig
from jaxgan.data.sources import Source
from jaxgan.evaluators.classifier_scores import ClassifierScores
from jaxgan.evaluators.patch_scores import PatchScores
from jaxgan.evaluators.self_features import SelfRecipe
from jaxgan.evaluators.self_scores import SelfScores
from jaxgan.evaluators.streams import Scorer, score
from jaxgan.inference.model import load
from jaxgan.system.paths import expanded

ROOT = pathlib.Path(__file__).parent.parent
DIGITS = DataConfig(name="jaxgan_digits", resolution=32, fit="pad")
CROPS, MORE_CROPS = 375, 575  # of each photograph: those that are the data, and with those that are held out
SAMPLES = 2_000
BLUR, NOISE, QUALITY = (0.6, 0.8, 1.2, 2.0), (8, 16, 32, 64), (50, 25, 10, 5)  # pixels; grey levels of 255; of JPEG
LEFT_OUT = {"digits": (2, 4, 6, 8), "photographs": (2, 4, 7, 10)}  # of 10 digits, of 12 photographs
IMAGES, EVERY = 64_000, 4_800
RUN: dict[str, Any] = {
    "task.condition": None,
    "images": IMAGES,
    "checkpoint.every_images": EVERY,
    "checkpoint.keep": 100,
}
RUN |= {"ema.rampup": 0.05, "evaluation.samples": 500, "evaluation.features": "patches"}
RUN |= {"networks.generator.widths": (64, 32, 16), "networks.discriminator.widths": (16, 32, 64)}
RUN |= {f"optimizers.{player}.learning_rate": 1e-3 for player in ("generator", "discriminator")}
RUN |= {"task.adversary.penalties": tuple({"name": f"gradient_penalty.{name}", "gamma": 0.3} for name in ("r1", "r2"))}
COLLAPSING = {
    "task.condition": "label",
    "task.adversary.loss": "adversarial.non_saturating",
    "task.adversary.penalties": "()",
    "watch.enabled": False,
    "images": 32_000,
}


class Data(NamedTuple):
    """A source, and held-out images uint8 `[n,H,W,C]` of the same kinds `[n]`."""

    source: Source
    images: np.ndarray
    kinds: np.ndarray


def digits() -> Data:
    """The digits: 4,500 and 500."""
    test = open_source(DIGITS, "test")
    examples = test.read(np.arange(test.spec.size))
    return Data(open_source(DIGITS, "train"), examples["image"], examples["label"])


def photographs(side: int) -> Data:
    """Crops of 12 photographs: 4,500 and 2,400."""
    fewer, more = (
        open_source(DataConfig(name="jaxgan_photographs", resolution=side, crops=crops), "train")
        for crops in (CROPS, MORE_CROPS)
    )
    others = np.arange(fewer.spec.size, more.spec.size)  # crop i is of picture i mod 12, whatever their number
    return Data(fewer, more.read(others)["image"], others % (fewer.spec.size // CROPS))


def ladders(data: Data, left_out: tuple[int, ...]) -> dict[str, list[np.ndarray]]:
    """The held-out images, spoilt more and more, by how."""
    images, noise = data.images, np.random.default_rng(0).standard_normal(data.images.shape)
    return {
        "blur": [blurred(images, sigma) for sigma in BLUR],
        "noise": [np.clip(np.rint(images + sigma * noise), 0, 255).astype(np.uint8) for sigma in NOISE],
        "JPEG": [saved(images, quality) for quality in QUALITY],
        "left out": [without(data, count) for count in left_out],
    }


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """By a Gaussian of so many pixels."""
    soft = gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest")
    return np.rint(soft).astype(np.uint8)


def saved(images: np.ndarray, quality: int) -> np.ndarray:
    """As they are read from JPEG files."""
    return np.stack([_saved(image, quality) for image in images])


def _saved(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def without(data: Data, count: int) -> np.ndarray:
    """As many images, of all but `count` kinds."""
    random = np.random.default_rng(3)
    kept = random.permutation(data.kinds.max() + 1)[count:]
    return data.images[random.choice(np.flatnonzero(np.isin(data.kinds, kept)), len(data.images))]


def scorers(source: Source, cache_dir: str, *, patches: bool) -> Iterator[tuple[str, Scorer]]:
    """All ways to score, by name."""
    common: dict[str, Any] = {"samples": SAMPLES, "neighbours": 5, "seed": 0}
    yield "trained itself", SelfScores(source, cache_dir=cache_dir, **common)
    yield "untrained", SelfScores(source, cache_dir=cache_dir, recipe=SelfRecipe(steps=0), **common)
    if patches:
        yield "patches", PatchScores(source, **common)
    if source.spec.classes:
        yield "classifier", ClassifierScores(source, None, cache_dir=cache_dir, **common)


def distance(scorer: Scorer, images: np.ndarray) -> float:
    """The score by which checkpoints are compared."""
    return by_score(scorer, images)[scorer.names[0]]


def by_score(scorer: Scorer, images: np.ndarray) -> dict[str, float]:
    """Scores without the names of their features; of several the first."""
    found = score(scorer, images)
    return {name.partition("/")[0]: found[name] for name in reversed(found)}


def rising(values: list[float]) -> bool:
    """Whether each is above the one before."""
    return all(low < high for low, high in itertools.pairwise(values))


def print_ladders(cache_dir: str) -> None:
    """A Markdown table for each data set."""
    sets: dict[str, Callable[[], Data]] = {
        "digits, 32x32": digits,
        "photographs, 32x32": lambda: photographs(32),
        "photographs, 64x64": lambda: photographs(64),
    }
    for title, make in sets.items():
        data = make()
        spoilt = ladders(data, LEFT_OUT[title.partition(",")[0]])
        print(f"\n{title}\n\n| features | spoilt by | real | 1 | 2 | 3 | 4 | rises |\n{'|---' * 8}|")
        for name, scorer in scorers(data.source, cache_dir, patches=False):
            real = distance(scorer, data.images)
            for how, steps in spoilt.items():
                found = [real, *(distance(scorer, images) for images in steps)]
                cells = " | ".join(f"{value:.2f}" for value in found)
                print(f"| {name} | {how} | {cells} | {'yes' if rising(found) else 'NO'} |", flush=True)


def samples(workdir: pathlib.Path) -> Iterator[tuple[int, np.ndarray]]:
    """Images seen, and as many samples uint8 as are scored, of every checkpoint but the first."""
    steps = sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())
    for step in steps[1:]:
        model = load(workdir, step=step, batch_size=250)
        images = np.concatenate([np.asarray(model.generate(7 + start, 250)) for start in range(0, SAMPLES, 250)])
        yield model.images_seen, np.rint(np.clip(images, -1.0, 1.0) * 127.5 + 127.5).astype(np.uint8)


def print_runs(workdirs: pathlib.Path, cache_dir: str, seeds: tuple[int, ...]) -> None:
    """Train what is not trained to its end yet; a Markdown table for each run."""
    names = {f"seed {seed}": {**RUN, "seed": seed} for seed in seeds}
    names["collapsed"] = {**RUN, **COLLAPSING}
    for name, changes in names.items():
        place = workdirs / name.replace(" ", "-")
        flags = [f"--config.{key}={value}" for key, value in changes.items()]
        command = ["-m", "jaxgan.main", "--workdir", str(place.absolute()), "--config", "configs/quickstart.py", *flags]
        if not (place / "scores.json").exists():  # which are written at a run's end
            subprocess.run([sys.executable, *command], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seen = list(samples(place))
        columns: dict[str, list[float]] = {}
        varied = []
        for title, scorer in scorers(open_source(DIGITS, "train"), cache_dir, patches=True):
            scores = [by_score(scorer, images) for _, images in seen]
            columns[title] = [each[scorer.names[0]] for each in scores]
            varied.append(" / ".join(f"{scores[-1][name]:.3f}" for name in ("recall", "diversity")))
        print(f"\n{name}\n\n| images | {' | '.join(columns)} |\n{'|---' * (1 + len(columns))}|")
        for row, (count, _) in enumerate(seen):
            print(f"| {count:,} | {' | '.join(f'{values[row]:.2f}' for values in columns.values())} |")
        ranks = [spearmanr(values, columns["classifier"]).statistic for values in columns.values()]
        print(f"| Spearman | {' | '.join(f'{rank:.3f}' for rank in ranks)} |")
        print(f"| recall / diversity at the end | {' | '.join(varied)} |", flush=True)


def main() -> None:
    """Print the tables of one kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ladders", "runs"))
    parser.add_argument("--workdir", type=expanded, default="runs/trust", help="where runs and trained networks lie")
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1, 2))
    arguments = parser.parse_args()
    workdirs = pathlib.Path(arguments.workdir)
    cache_dir = str(workdirs / "networks")
    if arguments.what == "ladders":
        print_ladders(cache_dir)
    else:
        print_runs(workdirs, cache_dir, tuple(arguments.seeds))


if __name__ == "__main__":
    main()
