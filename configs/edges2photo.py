"""pix2pix (Isola et al. 2017): photographs from their edges, with a discriminator that sees both.

    python -m jaxgan.main --config configs/edges2photo.py --workdir runs/edges

For your own pairs use --config.data.name=FOLDER --config.data.condition=left (or right, or the folder of the
conditions) and --config.task.degradation=None. Sized for two CPU cores.
"""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_photographs", resolution=64, crops=500, flip=True)
    config.batch_size = 16
    config.images = 32_000

    config.networks = dict(
        generator=dict(name="unet.Translator", base_width=32, halvings=6),
        discriminator=dict(name="patchgan.Discriminator", base_width=32),
    )
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="degradations.Edges"),
        content=(dict(name="reconstruction.l1", weight=100.0),),
        adversary=dict(loss="adversarial.non_saturating"),
        adversarial_start=0,
        conditional=True,
    )
    adam = dict(name="adam", learning_rate=2e-4, b1=0.5, b2=0.999)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=2_000)

    config.checkpoint = dict(every_images=8_000)
    config.samples = dict(every_images=8_000)
    config.evaluation = dict(every_images=8_000)
    return config
