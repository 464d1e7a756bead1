"""A config of this repository, reduced and under SGD, for runs of several processes; the argument is its name.

The kernels of vanilla_gan's images are large enough to be split over `fsdp`.
"""

import importlib.util
import pathlib

CONFIGS = pathlib.Path(__file__).parent.parent.parent / "configs"
WIDTHS = {"vanilla_gan": ((256,), (256,)), "dcgan_mnist": ((8, 8), (8, 8))}


def get_config(name):
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.data = {"name": "jaxgan_digits", "resolution": 16}
    config.batch_size, config.images, config.epochs = 16, 320, None
    config.networks.generator.widths, config.networks.discriminator.widths = WIDTHS[name]
    config.optimizers = {name: {"name": "sgd", "learning_rate": 1e-3} for name in ("generator", "discriminator")}
    config.rounds_per_dispatch = config.log_every = 1
    config.evaluation = {"samples": 64, "features": "patches", "neighbours": 3}
    config.samples = {"rows": 2, "columns": 2}
    config.plots = config.tensorboard = config.compilation_cache = False
    config.watch = {"enabled": False}
    return config
