"""A U-Net of gated convolutions (Yu et al. 2019) that fills strokes in photographs: content losses, then a patch GAN.

    python -m jaxgan.main --config configs/inpaint_photos.py --workdir runs/inpaint

Trains on the 16 photographs of the extra `demo`; for your own use --config.data.name=FOLDER. Sized for two CPU cores.
"""

from ml_collections import ConfigDict

CONTENT, TOTAL = 5_600, 6_400  # images of the first stage, and of both


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_photographs", resolution=128, crops=2_000, flip=True)
    config.batch_size = 4
    config.images = TOTAL

    config.networks = dict(
        generator=dict(name="unet.Generator", base_width=16, gated=True, residual=True, filled=True),
        discriminator=dict(name="patchgan.Discriminator", base_width=32, norm="none"),
    )
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="degradations.Masks", kind="strokes", side=64),
        content=(dict(name="reconstruction.l2", weight=100.0),),
        adversary=dict(loss="adversarial.non_saturating", penalties=(dict(name="gradient_penalty.r1", gamma=0.1),)),
        adversarial_weight=0.1,
        adversarial_start=CONTENT,
    )
    rate = dict(name="cosine", start=1e-3, stop=2e-5, images=TOTAL)
    config.optimizers = dict(
        generator=dict(name="adam", learning_rate=rate, b1=0.9, b2=0.99),
        discriminator=dict(name="adam", learning_rate=5e-4, b1=0.5, b2=0.99),
    )
    config.ema = dict(half_life_images=500)

    config.checkpoint = dict(every_images=1_000)
    config.samples = dict(every_images=1_000)
    config.evaluation = dict(every_images=1_000)
    return config
