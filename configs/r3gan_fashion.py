"""R3GAN (Huang et al. 2024) on Fashion-MNIST at 32 pixels, with widths reduced for two CPU cores.

    python -m jaxgan.main --config configs/r3gan_fashion.py --workdir runs/r3gan_fashion \
        --config.data.data_dir=DATA_DIR

Sized for 8 minutes on two CPU cores: Frechet distance 11.9 after 67,000 images (two seeds).
"""

from ml_collections import ConfigDict

IMAGES = 2_000 * 32  # length of the run and of all schedules


def cosine(start, stop):
    return dict(name="cosine", start=start, stop=stop, images=IMAGES)


def get_config():
    config = ConfigDict()
    config.data = dict(name="fashion_mnist", resolution=32, fit="pad")
    config.batch_size = 32
    config.images = IMAGES

    network = dict(widths=(128, 64, 32, 16), blocks=1, group_width=16)  # at 4, 8, 16 and 32 pixels
    config.networks = dict(
        generator=dict(name="r3gan.Generator", **network),
        discriminator=dict(name="r3gan.Discriminator", **network),
    )
    gamma = cosine(4.0, 0.4)
    config.task = dict(
        name="generation.Generation",
        adversary=dict(
            loss="adversarial.relativistic",
            penalties=(
                dict(name="gradient_penalty.r1", gamma=gamma),
                dict(name="gradient_penalty.r2", gamma=gamma),
            ),
        ),
        latent_dim=64,
    )
    adam = dict(name="adam", learning_rate=cosine(1e-3, 2.5e-4), b1=0.0, b2=cosine(0.9, 0.99), eps=1e-8)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=cosine(0.0, 10_000.0))

    config.checkpoint = dict(every_images=IMAGES // 4)
    config.samples = dict(every_images=IMAGES // 4)
    config.evaluation = dict(samples=10_000)
    config.log_every = 40
    return config
