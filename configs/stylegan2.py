"""StyleGAN2 with adaptive augmentation (Karras et al. 2020, 2020a), with the presets of the papers.

    python -m jaxgan.main --config configs/stylegan2.py:paper256 --workdir runs/stylegan2 \
        --config.data.name=path/to/images

Presets: auto (any resolution), cifar, paper256, paper512, paper1024. For GPUs or TPUs; not trained to the end here.

`auto` is the published preset at a batch of 32 below 1024 pixels. Of its values, only gamma adapts to the resolution
and the batch. With another batch set --config.ema.half_life_images (312.5 times the batch). From 1024 pixels on set
--config.optimizers.generator.learning_rate=0.002, and the same for the discriminator. All presets compute in float32;
the published ones compute the four largest resolutions in float16.
"""

from ml_collections import ConfigDict

PRESETS = {
    "auto": dict(gamma="auto", half_life=10_000, rampup=0.05, mapping=2),
    "cifar": dict(
        gamma=0.01, half_life=500_000, rampup=0.05, mapping=2, batch=64, resolution=32, group=32, images=100_000_000
    ),
    "paper256": dict(gamma=1.0, half_life=20_000, mapping=8, batch=64, resolution=256, group=8),
    "paper512": dict(gamma=0.5, half_life=20_000, mapping=8, batch=64, resolution=512, group=8),
    "paper1024": dict(gamma=2.0, half_life=10_000, mapping=8, batch=32, resolution=1024, rate=2e-3),
}


def get_config(preset="auto"):
    if preset not in PRESETS:
        raise ValueError(f"got preset {preset}, expected one of {', '.join(PRESETS)}")
    own, cifar = PRESETS[preset], preset == "cifar"
    config = ConfigDict()
    config.data = dict(name="cifar10" if cifar else "path/to/images", resolution=own.get("resolution", 256), flip=True)
    config.batch_size = own.get("batch", 32)
    config.images = own.get("images", 25_000_000)

    config.networks = dict(
        generator=dict(
            name="stylegan2.Generator",
            max_width=512,
            mapping_layers=own["mapping"],
            style_mixing=0.0 if cifar else 0.9,
        ),
        discriminator=dict(
            name="stylegan2.Discriminator",
            max_width=512,
            group_size=own.get("group", 4),
            architecture="orig" if cifar else "resnet",
        ),
    )
    lazy = dict(name="path_length.path_length", every=4)
    config.task = dict(
        name="generation.Generation",
        condition="label" if cifar else None,
        adversary=dict(
            loss="adversarial.non_saturating",
            penalties=(dict(name="gradient_penalty.r1", gamma=own["gamma"], every=16),),
            augment=dict(name="ada.ADA"),
        ),
        latent_dim=512,
        generator_penalties=() if cifar else (lazy,),
    )
    adam = dict(name="adam", learning_rate=own.get("rate", 2.5e-3), b1=0.0, b2=0.99)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=own["half_life"], rampup=own.get("rampup"))

    config.checkpoint = dict(every_images=200_000)
    config.samples = dict(every_images=200_000)
    config.evaluation = dict(samples=10_000, every_images=1_000_000)
    return config
