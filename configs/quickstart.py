"""A class-conditional GAN of handwritten digits in under three minutes on two CPU cores.

    pip install -e '.[demo]'
    python -m jaxgan.main --config configs/quickstart.py --workdir runs/quickstart

RpGAN with R1 and R2 (Huang et al. 2024), every eighth step, on a small DCGAN. These keep the digits from collapsing to
one shape each. On two cores of an AMD EPYC it takes 53 s from start to end with empty caches; Frechet distance 1.39,
1.69, 1.43, recall 0.82, 0.81, 0.81 (seeds 0, 1, 2).
"""

from ml_collections import ConfigDict

IMAGES = 1_250 * 64


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_digits", resolution=32, fit="pad")
    config.batch_size = 64
    config.images = IMAGES

    config.networks = dict(
        generator=dict(name="dcgan.Generator", widths=(96, 48, 24)),
        discriminator=dict(name="dcgan.Discriminator", widths=(24, 48, 96), norm="none"),
    )
    config.task = dict(
        name="generation.Generation",
        condition="label",
        adversary=dict(
            loss="adversarial.relativistic",
            penalties=(
                dict(name="gradient_penalty.r1", gamma=1.0, every=8),
                dict(name="gradient_penalty.r2", gamma=1.0, every=8),
            ),
        ),
        latent_dim=64,
    )
    rate = dict(name="cosine", start=2e-3, stop=1e-4, images=IMAGES)
    adam = dict(name="adam", learning_rate=rate, b1=0.0, b2=0.99)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=5_000)

    config.checkpoint = dict(every_images=500 * 64)
    config.samples = dict(every_images=500 * 64)
    config.evaluation = dict(samples=2_000)
    config.log_every = 20
    return config
