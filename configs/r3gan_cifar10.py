"""R3GAN on CIFAR-10 with labels, as published (Huang et al. 2024): 20.8 and 21.3 million parameters.

    python -m jaxgan.main --config configs/r3gan_cifar10.py --workdir runs/r3gan_cifar10 --config.data.data_dir=DATA_DIR

For GPUs or TPUs. On fewer than eight devices, `--config.microbatches` makes the batch of 512 fit into memory. Both
players see the same reals in a round, whereas the paper draws new ones. Published FID: 1.96. Not trained here.
"""

from ml_collections import ConfigDict

DECAY = 20_000_000  # images over which all schedules run


def cosine(start, stop):
    return dict(name="cosine", start=start, stop=stop, images=DECAY)


def get_config():
    config = ConfigDict()
    config.data = dict(name="cifar10", resolution=32, flip=True)
    config.batch_size = 512
    config.images = DECAY
    config.fresh_latents = True

    network = dict(base_width=768, blocks=2, group_width=16, dtype="bfloat16")
    config.networks = dict(
        generator=dict(name="r3gan.Generator", class_embedding=64, **network),
        discriminator=dict(name="r3gan.Discriminator", **network),
    )
    gamma = cosine(0.05, 0.005)
    config.task = dict(
        name="generation.Generation",
        condition="label",
        adversary=dict(
            loss="adversarial.relativistic",
            penalties=(
                dict(name="gradient_penalty.r1", gamma=gamma),
                dict(name="gradient_penalty.r2", gamma=gamma),
            ),
            augment=dict(
                name="ada.ADA",
                chances=dict(brightness=0.5, contrast=0.5, lumaflip=0.5, hue=0.5, saturation=0.5, cutout=1.0),
                schedule=cosine(0.0, 0.55),
            ),
        ),
        latent_dim=64,
    )
    adam = dict(name="adam", learning_rate=cosine(2e-4, 5e-5), b1=0.0, b2=cosine(0.9, 0.99), eps=1e-8)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=cosine(0.0, 5_000_000.0))

    config.checkpoint = dict(every_images=500_000)
    config.samples = dict(every_images=500_000)
    config.evaluation = dict(samples=10_000, every_images=1_000_000)
    config.log_every = 50
    return config
