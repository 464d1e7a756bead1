"""A thousand modes: three random digits as the channels of one image (Metz et al. 2017). How many does a GAN find?

    python -m jaxgan.main --config configs/stacked_mnist.py --workdir runs/stacked
    python -m jaxgan.main --config configs/stacked_mnist.py:relativistic --workdir runs/stacked_relativistic

The plain config is DCGAN with the non-saturating loss; `:relativistic` has the same networks with RpGAN, R1 and R2
(Huang et al. 2024). For other digits or clothes use --config.data.name=stacked:fashion_mnist or stacked:jaxgan_digits.
"""

from ml_collections import ConfigDict


def get_config(variant="plain"):
    if variant not in ("plain", "relativistic"):
        raise ValueError(f"got variant {variant}, expected one of plain, relativistic")
    config = ConfigDict()
    config.data = dict(name="stacked:mnist", resolution=32, fit="pad")
    config.batch_size = 64
    config.images = 600_000

    # No batch norm in the discriminator: penalties are defined for each image separately.
    config.networks = dict(
        generator=dict(name="dcgan.Generator", widths=(128, 64, 32)),
        discriminator=dict(name="dcgan.Discriminator", widths=(32, 64, 128), norm="none"),
    )
    config.task = dict(name="generation.Generation", adversary=dict(loss="adversarial.non_saturating"), latent_dim=100)
    if variant == "relativistic":
        config.task.adversary.update(
            loss="adversarial.relativistic",
            penalties=(
                dict(name="gradient_penalty.r1", gamma=0.3),
                dict(name="gradient_penalty.r2", gamma=0.3),
            ),
        )
    adam = dict(name="adam", learning_rate=2e-4, b1=0.5, b2=0.999)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=10_000)

    config.checkpoint = dict(every_images=120_000)
    config.samples = dict(every_images=60_000)
    config.evaluation = dict(samples=25_600)
    config.log_every = 100
    return config
