"""The classic fully connected GAN (Goodfellow et al. 2014) with the non-saturating loss.

    python -m jaxgan.main --config configs/vanilla_gan.py --workdir runs/vanilla \
        --config.data.name=fashion_mnist --config.data.data_dir=DATA_DIR

On two CPU cores an epoch of Fashion-MNIST takes 12 s; Frechet distance 15.2 after 5 epochs, 7.0 after 20 (three seeds).
"""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="mnist")
    config.batch_size = 64
    config.epochs = 200
    config.rounds_per_dispatch = 8

    config.networks = dict(
        generator=dict(name="mlp.Generator", widths=(256, 512, 1024)),
        discriminator=dict(name="mlp.Discriminator", widths=(1024, 512, 256)),
    )
    config.task = dict(name="generation.Generation", adversary=dict(loss="adversarial.non_saturating"), latent_dim=100)
    adam = dict(name="adam", learning_rate=2e-4, b1=0.5, b2=0.999)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=10_000)

    config.checkpoint = dict(every_images=600_000)
    config.samples = dict(every_images=300_000)
    config.evaluation = dict(samples=10_000)
    config.log_every = 200
    return config
