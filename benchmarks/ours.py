"""Our train steps, for `benchmarks.steps`: the same algorithms as the peers', with the average and the NaN guard on.

    python -m benchmarks.ours --case mlp

answers each line on stdin, `{"reps": n}`, with one of JSON: milliseconds a step, of as many dispatches as make n steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

EXAMPLES = 1024  # of random data
ADAM = {"name": "adam", "learning_rate": 2e-4, "b1": 0.5, "b2": 0.999}
STYLEGAN2: dict[str, Any] = {
    "image": (32, 32, 1),
    "batch": 16,
    "generator": {
        "name": "stylegan2.Generator",
        "max_width": 64,
        "style_dim": 64,
        "mapping_layers": 4,
        "style_mixing": 0.0,
    },
    "discriminator": {"name": "stylegan2.Discriminator", "max_width": 64},
    "latent_dim": 64,
}
VIDEO: dict[str, Any] = {  # as in configs/video_digits.py
    "image": (16, 32, 32, 1),
    "batch": 32,
    "generator": {
        "name": "video.Shifted",
        "backbone": {"name": "dcgan.Generator", "resolution": 64, "channels": 1, "widths": (128, 64, 32, 16)},
        "motion": {
            "name": "motion_codes.Steady",
            "frequencies": 2,
            "shortest": 40.0,
            "longest": 40.0,
            "wave": "triangle",
        },
    },
    "discriminator": {
        "name": "video.Clips",
        "backbone": {"name": "dcgan.Discriminator", "resolution": 32, "widths": (32, 64, 128), "norm": "none"},
        "pixels": 4,
        "depth": 2,
    },
    "latent_dim": 64,
    "loss": "relativistic",
}
CASES: dict[str, dict[str, Any]] = {
    "mlp": {
        "image": (28, 28, 1),
        "generator": {"name": "mlp.Generator", "widths": (256, 512, 1024)},
        "discriminator": {"name": "mlp.Discriminator", "widths": (1024, 512, 256)},
        "latent_dim": 100,
        "rounds": 8,  # as in configs/vanilla_gan.py
    },
    "dcgan": {
        "image": (32, 32, 3),
        "generator": {"name": "dcgan.Generator", "widths": (256, 128, 64)},
        "discriminator": {"name": "dcgan.Discriminator", "widths": (64, 128, 256), "norm": "batch"},
        "latent_dim": 128,
    },
    "stylegan2": STYLEGAN2,
    "stylegan2_r1": {**STYLEGAN2, "penalties": {"r1": 10.0}},
    "r3gan": {
        "image": (32, 32, 3),
        "batch": 32,
        "generator": {"name": "r3gan.Generator", "widths": (64, 64, 64, 64), "group_width": 16},
        "discriminator": {"name": "r3gan.Discriminator", "widths": (64, 64, 64, 64), "group_width": 16},
        "latent_dim": 64,
        "loss": "relativistic",
        "penalties": {"r1": 1.0, "r2": 1.0},
    },
    "video": VIDEO,
    "video_penalties": {**VIDEO, "penalties": {"r1": 1.0, "r2": 1.0}},
    "vsr": {  # as in configs/vsr_clips.py
        "image": (7, 64, 64, 3),
        "condition": (7, 16, 16, 3),
        "batch": 8,
        "generator": {"name": "recurrent.Recurrent", "base_width": 32, "blocks": 6, "features": 32},
        "content": "charbonnier",
    },
    "srgan": {
        "image": (96, 96, 3),
        "condition": (24, 24, 3),
        "batch": 8,
        "generator": {"name": "srresnet.Generator", "scale": 4, "variant": "srgan", "norm": "batch"},
        "discriminator": {"name": "srresnet.Discriminator", "norm": "batch"},
    },
}


def make_game(settings: dict[str, Any]) -> Any:
    """The task of a case: generation, or restoration if it has conditions."""
    from jaxgan.building.builder import build
    from jaxgan.losses import adversarial, reconstruction
    from jaxgan.regularizers import gradient_penalty
    from jaxgan.tasks.adversary import Adversary
    from jaxgan.tasks.generation import Generation
    from jaxgan.tasks.penalty import Penalty
    from jaxgan.tasks.restoration import Content, Restoration
    from jaxgan.tasks.video import VideoGeneration

    *frames, height, _, channels = settings["image"]
    fill = {"resolution": height, "channels": channels, "num_classes": 0, "frames": next(iter(frames), 1)}
    generator = build(settings["generator"], "network", fill=fill)
    if "content" in settings:
        learned = Content(settings["content"], getattr(reconstruction, settings["content"]))
        return Restoration(generator, content=(learned,))
    discriminator = build(settings["discriminator"], "network", fill=fill)
    loss = getattr(adversarial, settings.get("loss", "non_saturating"))
    if "condition" in settings:
        content = (Content("l2", reconstruction.l2),)
        adversary = Adversary(discriminator, loss)
        return Restoration(generator, adversary, content=content, adversarial_weight=1e-3, adversarial_start=0)
    gammas = settings.get("penalties", {})
    penalties = tuple(Penalty(n, getattr(gradient_penalty, n), {"gamma": g}) for n, g in gammas.items())
    adversary = Adversary(discriminator, loss, penalties=penalties)
    task = VideoGeneration if frames else Generation
    return task(generator, adversary, latent_dim=settings["latent_dim"])


def make_dispatch(case: str) -> Any:
    """A function without arguments that runs the case's rounds and returns when their losses are on the host."""
    import jax
    import numpy as np

    from jaxgan.fields import pixel_field
    from jaxgan.parallel.compiler import keep_freed_memory
    from jaxgan.parallel.mesh import make_mesh
    from jaxgan.parallel.runners import JitRunner
    from jaxgan.training.feed import make_play
    from jaxgan.training.optimizers import make_optimizer
    from jaxgan.training.state import init_state
    from jaxgan.training.step import due_phases, make_train_step

    keep_freed_memory()
    settings = CASES[case]
    batch, rounds = settings.get("batch", 64), settings.get("rounds", 1)
    task = make_game(settings)
    optimizers = {player: make_optimizer(ADAM) for player in task.players}
    key = jax.random.key(0)
    sizes: dict[str, Any] = {name: settings[name] for name in ("image", "condition") if name in settings}
    shapes = {name: jax.ShapeDtypeStruct((batch, *size), np.float32) for name, size in sizes.items()}
    spec = {name: pixel_field(*size[-3:], frames=next(iter(size[:-3]), None)) for name, size in sizes.items()}
    step = make_train_step(task, optimizers, images=batch)
    runner = JitRunner(make_play(step, spec, key), make_mesh({"data": -1}))
    state = runner.init(
        lambda: init_state(task, optimizers, key, jax.tree.map(lambda s: jax.numpy.zeros(s.shape), shapes))
    )
    generator = np.random.default_rng(0)
    cache = runner.cache(
        {name: generator.integers(0, 256, (EXAMPLES, *size), np.uint8) for name, size in sizes.items()}
    )
    due = due_phases(task.phases(), 0, 0)

    def dispatch() -> Any:
        nonlocal state
        rows = [{"index": generator.integers(0, EXAMPLES, batch, np.int32)} for _ in range(rounds)]
        state, metrics = runner.play(state, cache, rows, [due] * rounds)
        return jax.device_get({name: value for name, value in metrics.items() if name.endswith("/loss")})

    return dispatch


def make_inception() -> Any:
    """A function without arguments that computes Inception's features of 16 images of 299 pixels."""
    import jax
    import numpy as np

    from jaxgan.models.pretrained.inception import Inception
    from jaxgan.parallel.compiler import compiler_options

    network = Inception()
    images = np.random.default_rng(0).integers(0, 256, (16, 299, 299, 3)).astype(np.float32)
    tree = jax.jit(network.init)(jax.random.key(0), images[:1])
    features = jax.jit(network.apply, compiler_options=compiler_options(jax.default_backend()))
    return lambda: jax.device_get(features(tree, images))


def make_enlarger(name: str, picture: tuple[int, int], tile: int, *, plain: bool = False) -> Any:
    """A function without arguments that enlarges a picture of this height and width as `--mode=apply` does.

    With `plain` the compiler has no options.
    """
    import jax
    import numpy as np

    from jaxgan.building.builder import build
    from jaxgan.inference.tiling import Tiling, tiled
    from jaxgan.parallel.compiler import compiler_options, keep_freed_memory

    keep_freed_memory()
    network: Any = build({"name": name, "channels": 3, "scale": 4}, "network")
    pixels = np.random.default_rng(0).uniform(-1, 1, (*picture, 3)).astype(np.float32)
    tree = jax.jit(lambda key: network.init(key, pixels[None, :16, :16], train=False))(jax.random.key(0))
    apply = jax.jit(
        lambda tree, tiles: network.apply(tree, tiles, train=False),
        compiler_options=None if plain else compiler_options(jax.default_backend()),
    )
    tiling = Tiling(tile, network.receptive_field)
    return lambda: tiled(lambda tiles: apply(tree, tiles), pixels, tiling, scale=4)


def make_clip_layer() -> Any:
    """A function without arguments: a (2+1)-D convolution of 16 clips of 8 frames, forward and backward."""
    import jax
    import jax.numpy as jnp

    from jaxgan.layers.temporal import Conv2Plus1D
    from jaxgan.parallel.compiler import compiler_options, keep_freed_memory

    keep_freed_memory()
    layer, clips = Conv2Plus1D(32), jax.random.normal(jax.random.key(0), (16, 8, 32, 32, 32))
    tree = jax.jit(layer.init)(jax.random.key(1), clips)
    gradients = jax.jit(
        jax.grad(lambda tree, clips: jnp.square(layer.apply(tree, clips)).mean(), (0, 1)),
        compiler_options=compiler_options(jax.default_backend()),
    )
    return lambda: jax.block_until_ready(gradients(tree, clips))


NETWORKS: dict[str, Callable[[], Any]] = {
    "inception": make_inception,
    "clips": make_clip_layer,
    "rrdb": partial(make_enlarger, "rrdb.Generator", (250, 375), 256),
    "srvgg": partial(make_enlarger, "srvgg.Generator", (180, 320), 512),
    "srvgg_plain": partial(make_enlarger, "srvgg.Generator", (180, 320), 512, plain=True),
}


def main() -> None:
    """Serve timings on stdin and stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True, choices=[*CASES, *NETWORKS])
    case = parser.parse_args().case
    dispatch = NETWORKS[case]() if case in NETWORKS else make_dispatch(case)
    rounds = CASES.get(case, {}).get("rounds", 1)
    for _ in range(3):
        dispatch()
    for line in sys.stdin:
        times = []
        for _ in range(-(-json.loads(line)["reps"] // rounds)):
            start = time.perf_counter()
            dispatch()
            times.append((time.perf_counter() - start) * 1e3 / rounds)
        print(json.dumps({"ms": times}, allow_nan=False), flush=True)


if __name__ == "__main__":
    main()
