"""Progressive GAN (Karras et al. 2018): from 4 pixels to the full resolution, WGAN-GP with drift.

    python -m jaxgan.main --config configs/progan.py --workdir runs/progan \
        --config.data.name=path/to/images --config.data.resolution=256

For a GPU; not trained to the end here. For two CPU cores use --config.data.resolution=32
--config.networks.generator.max_width=32 --config.networks.discriminator.max_width=32 --config.task.stage_images=60000
--config.task.fade_images=30000 --config.images=300000
"""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="path/to/images", resolution=256, flip=True)
    config.batch_size = 16
    config.images = 12_000_000

    config.networks = dict(
        generator=dict(name="progan.Generator", max_width=512),
        discriminator=dict(name="progan.Discriminator", max_width=512),
    )
    config.task = dict(
        name="progressive.Progressive",
        adversary=dict(
            loss="adversarial.wasserstein",
            penalties=(dict(name="gradient_penalty.wgan_gp", weight=10.0), dict(name="drift.drift", weight=1e-3)),
        ),
        latent_dim=512,
        stage_images=1_200_000,
        fade_images=600_000,
    )
    adam = dict(name="adam", learning_rate=1e-3, b1=0.0, b2=0.99)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=11_000)  # a decay of 0.999 a step

    config.checkpoint = dict(every_images=600_000)
    config.samples = dict(every_images=300_000)
    config.evaluation = dict(samples=10_000, every_images=1_200_000)
    return config
