"""Eight tasks in miniature, and the numbers of a run that must not change: data, latents, losses, scores."""

import json
import pathlib
from typing import NamedTuple

import jax
import numpy as np
from PIL import Image

import jaxgan
from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.parts import root_key
from jaxgan.building.pipelines import make_pipeline
from jaxgan.config.overrides import load_config
from jaxgan.errors import FINISHED
from jaxgan.main import main

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
ROUNDS, BATCH = 10, 8
TURNS = ("generator", "discriminator", "content", "skipped")
DIGITS = {"data.name": "jaxgan_digits", "data.evaluation_split": "test", "data.fit": "pad"}
PHOTOS = {"data.crops": "4"}


class Game(NamedTuple):
    """A config of configs/, and changes so that ten rounds have every kind of turn."""

    config: str
    changes: dict[str, str]
    restores: bool = False


GAMES = {
    "mlp": Game("vanilla_gan.py", DIGITS),
    # labels by projection, a penalty of the generator, standing statistics, microbatches
    "biggan": Game("biggan.py", DIGITS | {"data.flip": "false", "conditional": "true", "microbatches": "2"}),
    # lazy penalties of both players, adaptive augmentation, mixed styles
    "stylegan2": Game(
        "stylegan2.py",
        DIGITS
        | {"data.flip": "false", "task.penalties.0.every": "2", "task.penalties.0.gamma": "1.0"}
        | {"task.generator_penalties.0.every": "3"},
    ),
    # schedules, fresh latents for each turn, labels, bfloat16, flips
    "r3gan": Game("r3gan_cifar10.py", DIGITS),
    # stages of a growing network, image pyramids
    "progan": Game("progan.py", DIGITS | {"data.flip": "false"}),
    # packing, a gate, label smoothing, top-k, simultaneous turns, instance noise
    "dcgan": Game(
        "stacked_mnist.py",
        {"data.name": "stacked:jaxgan_digits", "data.evaluation_split": "test"}
        | {"task.pack": "2", "task.max_accuracy": "0.9", "task.label_smoothing": "0.1", "task.top_k": "0.5"}
        | {"task.instance_noise": "0.1", "task.generator_every": "2", "simultaneous": "true"},
    ),
    # restoration in two stages
    "srgan": Game("srgan_photos.py", PHOTOS),
    # masks, and a discriminator that sees the condition
    "inpainting": Game("inpaint_photos.py", PHOTOS | {"task.conditional": "true"}),
}


def flags_of(game: Game, workdir: pathlib.Path) -> list[str]:
    """The command line that trains one."""
    common = {"compilation_cache": "false", "plots": "false", "tensorboard": "false", "rounds_per_dispatch": "1"}
    lengths = {"tiny": "true", "images": str(ROUNDS * BATCH), "batch_size": str(BATCH), "log_every": "1"}
    changes = {**common, **lengths, **game.changes}
    flags = [f"--config.{name}={value}" for name, value in changes.items()]
    return ["--config", str(CONFIGS / game.config), "--workdir", str(workdir), *flags]


def rounds(workdir: pathlib.Path) -> list[dict]:
    """The metrics of a run, round by round."""
    lines = [json.loads(line)["scalars"] for line in (workdir / "scalars.jsonl").read_text().splitlines()]
    turns = [{name: value for name, value in line.items() if name.startswith(TURNS)} for line in lines]
    return [turn for turn in turns if turn]


def play(game: Game, workdir: pathlib.Path) -> dict:
    """Trains, and returns all numbers of the run that must not change, as JSON."""
    assert main(flags_of(game, workdir)) == FINISHED
    return {
        **beginning(game, workdir),
        "rounds": rounds(workdir),
        "scores": json.loads((workdir / "scores.json").read_text())["scores"],
    }


def beginning(game: Game, workdir: pathlib.Path) -> dict:
    """The order of the data, the root key, the latents of samples, and those of the first round's fakes."""
    config = load_config(str(CONFIGS / game.config), {"tiny": "true", "batch_size": str(BATCH), **game.changes})
    pipeline = make_pipeline(config.data, seed=config.seed)
    reported = {
        "fingerprint": pipeline.spec.fingerprint,
        "indices": pipeline.order.indices(0, 32).tolist(),
        "late_indices": pipeline.order.indices(10**6, 8).tolist(),
        "key": np.asarray(jax.random.key_data(root_key(config))).tolist(),
    }
    task = make_task(fill_in(config, pipeline.spec))
    if hasattr(task, "latents"):
        loaded = jaxgan.load(workdir)
        reported["latents"] = np.asarray(loaded.latents(0, 2)).astype(float).ravel()[:16].tolist()
        reported["image"] = loaded.generate(0, 1).astype(float).ravel()[:16].tolist()
    return reported


SAVED = {  # runs that were saved after four rounds and trained to the eighth
    "digits": Game("vanilla_gan.py", DIGITS),
    "photos": Game(
        "srgan_photos.py",
        PHOTOS
        | {
            "networks.generator.base_width": "4",
            "networks.generator.blocks": "1",
            "networks.discriminator.base_width": "2",
        },
        restores=True,
    ),
}
SAVED_ROUNDS = 4


def resume(game: Game, workdir: pathlib.Path) -> list[dict]:
    """Resumes a saved run to twice its length; the metrics of the new rounds."""
    assert main([*flags_of(game, workdir), f"--config.images={2 * SAVED_ROUNDS * BATCH}"]) == FINISHED
    return rounds(workdir)[SAVED_ROUNDS:]


def products(game: Game, workdir: pathlib.Path, folder: pathlib.Path) -> dict:
    """An image of samples of a saved run, and its scores."""
    folder.mkdir()
    run, output = f"--workdir={workdir}", folder / "made.png"
    if game.restores:
        pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "given.png")
        assert main(["--mode=apply", run, f"--input={folder / 'given.png'}", f"--output={output}"]) == FINISHED
    else:
        assert main(["--mode=sample", run, "--count=1", f"--output={output}"]) == FINISHED
    assert main(["--mode=evaluate", run]) == FINISHED
    scores = json.loads((workdir / f"scores-{SAVED_ROUNDS}.json").read_text())["scores"]
    with Image.open(output) as picture:
        return {"scores": scores, "pixels": np.asarray(picture).ravel()[::7][:256].tolist()}
