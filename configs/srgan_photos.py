"""SRGAN (Ledig et al. 2017) for photographs, twofold: content losses first, then a discriminator.

    python -m jaxgan.main --config configs/srgan_photos.py --workdir runs/sr

Trains on the 16 photographs of the extra `demo`; for your own use --config.data.name=FOLDER. Sized for two CPU cores.
"""

from ml_collections import ConfigDict

CONTENT, TOTAL = 56_000, 80_000  # images of the first stage, and of both


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_photographs", resolution=64, crops=500, flip=True)
    config.batch_size = 16
    config.images = TOTAL

    config.networks = dict(
        generator=dict(name="srresnet.Generator", scale=2, base_width=32, blocks=8, residual=True),
        discriminator=dict(name="srresnet.Discriminator", base_width=32),
    )
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="degradations.Bicubic", scale=2),
        content=(dict(name="reconstruction.l1"),),
        adversary=dict(
            loss="adversarial.relativistic",
            penalties=(
                dict(name="gradient_penalty.r1", gamma=0.1),
                dict(name="gradient_penalty.r2", gamma=0.1),
            ),
        ),
        adversarial_weight=5e-3,
        adversarial_start=CONTENT,
    )
    rate = dict(name="cosine", start=1e-3, stop=1e-4, images=TOTAL)
    config.optimizers = dict(
        generator=dict(name="adam", learning_rate=rate, b1=0.9, b2=0.99),
        discriminator=dict(name="adam", learning_rate=5e-4, b1=0.9, b2=0.99),
    )
    config.ema = dict(half_life_images=2_000)

    config.checkpoint = dict(every_images=8_000)
    config.samples = dict(every_images=8_000)
    config.evaluation = dict(every_images=8_000)
    return config
