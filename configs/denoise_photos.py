"""A U-Net that removes Gaussian noise of 25 grey levels from photographs.

    python -m jaxgan.main --config configs/denoise_photos.py --workdir runs/denoise

Trains on the 16 photographs of the extra `demo`; for your own use --config.data.name=FOLDER. Sized for two CPU cores.
"""

from ml_collections import ConfigDict

IMAGES = 72_000


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_photographs", resolution=64, crops=500, flip=True)
    config.batch_size = 16
    config.images = IMAGES

    config.networks = dict(
        generator=dict(name="unet.Generator", base_width=32, halvings=2, residual=True),
    )
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="degradations.GaussianNoise", strength=25.0),
        content=(dict(name="reconstruction.l1"),),
    )
    rate = dict(name="cosine", start=1e-3, stop=1e-5, images=IMAGES)
    config.optimizers = dict(generator=dict(name="adam", learning_rate=rate, b1=0.9, b2=0.99))
    config.ema = dict(half_life_images=1_000)

    config.checkpoint = dict(every_images=12_000)
    config.samples = dict(every_images=12_000)
    config.evaluation = dict(every_images=12_000)
    return config
