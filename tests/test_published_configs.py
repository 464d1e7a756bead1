"""The configs that claim to be a paper's: every number of theirs with its source.

Paths lead into the resolved config. "Code" is the authors' released code or options.
"""

import dataclasses
import pathlib

import pytest

from jaxgan.config.overrides import load_config

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"


def cosine(start, stop):
    return {"name": "cosine", "start": start, "stop": stop, "images": 20_000_000}


def both(**arguments):
    """Adam for both players."""
    return {f"optimizers.{player}": {"name": "adam", **arguments} for player in ("generator", "discriminator")}


def r1(**arguments):
    return {"name": "gradient_penalty.r1", **arguments}


# Karras et al. 2020a, train.py: batch, gamma, half-life and ramp-up of the average, learning rate, mapping layers,
# group of the minibatch deviation, images, resolution; cifar without path length, style mixing and residual skips
PRESETS = {
    "auto": (32, "auto", 10_000, 0.05, 2.5e-3, 2, 4, 25_000_000, 256),
    "cifar": (64, 0.01, 500_000, 0.05, 2.5e-3, 2, 32, 100_000_000, 32),
    "paper256": (64, 1.0, 20_000, None, 2.5e-3, 8, 8, 25_000_000, 256),
    "paper512": (64, 0.5, 20_000, None, 2.5e-3, 8, 8, 25_000_000, 512),
    "paper1024": (32, 2.0, 10_000, None, 2e-3, 8, 4, 25_000_000, 1024),
}


def stylegan2(preset):
    batch, gamma, half_life, rampup, rate, mapping, group, images, resolution = PRESETS[preset]
    cifar = preset == "cifar"
    path_length = {"name": "path_length.path_length", "every": 4}  # Karras et al. 2020, appendix B
    return {
        "batch_size": batch,
        "images": images,
        "data.resolution": resolution,
        "task.condition": "label" if cifar else None,
        "ema.half_life_images": half_life,
        "ema.rampup": rampup,
        "task.adversary.loss": "adversarial.non_saturating",
        "task.latent_dim": 512,
        "task.adversary.penalties": (r1(gamma=gamma, every=16),),
        "task.generator_penalties": () if cifar else (path_length,),
        "task.adversary.augment": {"name": "ada.ADA"},
        "networks.generator.mapping_layers": mapping,
        "networks.generator.max_width": 512,
        "networks.generator.style_mixing": 0.0 if cifar else 0.9,
        "networks.discriminator.max_width": 512,
        "networks.discriminator.group_size": group,
        "networks.discriminator.architecture": "orig" if cifar else "resnet",
        **both(learning_rate=rate, b1=0.0, b2=0.99),
    }


PUBLISHED = {f"stylegan2:{preset}": stylegan2(preset) for preset in PRESETS} | {
    # Skorokhodov et al. 2022, configs/model/stylegan-v.yaml: no style mixing, noise or path length; the rest as auto
    "stylegan_v": {
        "batch_size": 64,
        "images": 25_000_000,
        "data.resolution": 256,
        "data.frames": 32,  # the largest gap
        "task.frames_seen": 3,
        "task.latent_dim": 512,
        "task.adversary.loss": "adversarial.non_saturating",
        "task.adversary.augment": {"name": "ada.ADA", "preset": "bgc"},
        "networks.generator.backbone.style_mixing": 0.0,
        "networks.generator.backbone.noise": False,
        "networks.generator.motion": {
            "name": "motion_codes.Acyclic",
            "dim": 512,
            "every": 16.0,
            "kernel_sizes": (11, 11),
            "frequencies": 256,
            "shortest": 16.0,
            "longest": 1024.0,
            "lr_multiplier": 0.01,
        },
        "networks.discriminator.pixels": 16,
        **both(learning_rate=2.5e-3, b1=0.0, b2=0.99),
    },
    # Huang et al. 2024, the preset CIFAR10 of their train.py
    "r3gan_cifar10": {
        "batch_size": 512,
        "images": 20_000_000,
        "fresh_latents": True,
        "networks.generator.base_width": 768,
        "networks.generator.blocks": 2,
        "networks.generator.group_width": 16,  # 96 groups of 1,536 channels
        "networks.generator.class_embedding": 64,
        "networks.discriminator.base_width": 768,
        "networks.discriminator.blocks": 2,
        "networks.discriminator.group_width": 16,
        "task.adversary.loss": "adversarial.relativistic",
        "task.latent_dim": 64,
        "task.adversary.penalties": (
            r1(gamma=cosine(0.05, 0.005)),
            {"name": "gradient_penalty.r2", "gamma": cosine(0.05, 0.005)},
        ),
        "task.adversary.augment": {
            "name": "ada.ADA",
            "chances": dict.fromkeys(("brightness", "contrast", "lumaflip", "hue", "saturation"), 0.5)
            | {"cutout": 1.0},
            "schedule": cosine(0.0, 0.55),
        },
        "ema.half_life_images": cosine(0.0, 5_000_000.0),
        **both(learning_rate=cosine(2e-4, 5e-5), b1=0.0, b2=cosine(0.9, 0.99), eps=1e-8),
    },
    # Brock et al. 2019, table 1, appendix C; rates and epsilon: BigGAN-PyTorch, scripts/launch_BigGAN_bs256x8.sh
    "biggan": {
        "batch_size": 2048,
        "data.resolution": 128,
        "networks.generator.base_width": 96,
        "networks.discriminator.base_width": 96,
        "task.adversary.loss": "adversarial.hinge",
        "task.latent_dim": 120,
        "task.generator_penalties": ({"name": "orthogonal.orthogonal", "weight": 1e-4},),
        "task.standing_passes": 100,
        "optimizers.generator": {"name": "adam", "learning_rate": 1e-4, "b1": 0.0, "b2": 0.999, "eps": 1e-6},
        "optimizers.discriminator": {"name": "adam", "learning_rate": 4e-4, "b1": 0.0, "b2": 0.999, "eps": 1e-6},
    },
    # Karras et al. 2018, appendix A.1 and code
    "progan": {
        "batch_size": 16,
        "networks.generator.max_width": 512,
        "networks.discriminator.max_width": 512,
        "task.adversary.loss": "adversarial.wasserstein",
        "task.latent_dim": 512,
        "task.adversary.penalties": (
            {"name": "gradient_penalty.wgan_gp", "weight": 10.0},
            {"name": "drift.drift", "weight": 1e-3},
        ),
        "task.stage_images": 1_200_000,
        "task.fade_images": 600_000,
        **both(learning_rate=1e-3, b1=0.0, b2=0.99),
    },
    # Radford et al. 2015, section 4
    "dcgan_mnist": {
        "task.latent_dim": 100,
        **both(learning_rate=2e-4, b1=0.5, b2=0.999),
    },
    # Miyato et al. 2018, section 4 and code: batch 64, z of 128
    "sngan_fashion": {
        "batch_size": 64,
        "task.adversary.loss": "adversarial.hinge",
        "task.latent_dim": 128,
        **both(learning_rate=2e-4, b1=0.0, b2=0.9),
    },
    # Isola et al. 2017, section 3.3
    "edges2photo": {
        "task.content": ({"name": "reconstruction.l1", "weight": 100.0},),
        "task.adversary.loss": "adversarial.non_saturating",
        "task.conditional": True,
        **both(learning_rate=2e-4, b1=0.5, b2=0.999),
    },
}


def loaded(name):
    """The config of a name such as `stylegan2:cifar`, as nested dicts."""
    stem, _, variant = name.partition(":")
    return dataclasses.asdict(load_config(f"{CONFIGS / stem}.py" + (f":{variant}" if variant else "")))


@pytest.mark.quick
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_config_has_the_published_numbers(name):
    config = loaded(name)
    for path, expected in PUBLISHED[name].items():
        value = config
        for part in path.split("."):
            value = value[part]
        assert value == expected, f"config.{path}"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "decay"),
    [("biggan", 0.9999), ("progan", 0.999)],  # a step: Brock et al. 2019, appendix C; Karras et al. 2018, appendix A.1
)
def test_an_average_keeps_the_published_share_a_step(name, decay):
    config = loaded(name)
    assert 0.5 ** (config["batch_size"] / config["ema"]["half_life_images"]) == pytest.approx(
        decay, abs=(1 - decay) / 50
    )
