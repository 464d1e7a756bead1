"""A baseline after MoCoGAN (Tulyakov et al. 2018) on moving digits: a recurrent motion code, two discriminators.

    pip install -e '.[demo,video]'
    python -m jaxgan.main --config configs/mocogan_digits.py --workdir runs/mocogan

One discriminator sees a frame of each clip, the other all 16 frames. Losses, optimizers and latents are those of the
paper. The paper's clip discriminator uses 3-D convolutions; this one concatenates the feature maps of the frames.
"""

from ml_collections import ConfigDict

CLIPS, FRAMES = 16, 16
IMAGES = 3_000 * CLIPS * FRAMES


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_moving_digits", resolution=32, frames=FRAMES)
    config.batch_size = CLIPS
    config.images = IMAGES

    judge = dict(name="dcgan.Discriminator", widths=(24, 48, 96))
    config.networks = dict(
        generator=dict(
            name="video.Frames",
            backbone=dict(name="dcgan.Generator", widths=(96, 48, 24)),
            motion=dict(name="motion_codes.Recurrent", dim=10, every=1.0),
        ),
        discriminator=dict(name="video.Clips", backbone=judge, pixels=8),
        image_discriminator=judge,
    )
    config.task = dict(
        name="video.VideoGeneration",
        frames_seen=None,
        adversary=dict(loss="adversarial.non_saturating"),
        image_adversary=dict(loss="adversarial.non_saturating", network="image_discriminator"),
        latent_dim=50,
    )
    adam = dict(name="adamw", learning_rate=2e-4, b1=0.5, b2=0.999, weight_decay=1e-5)
    config.optimizers = dict(generator=adam, discriminator=adam, image_discriminator=adam)
    config.ema = dict(half_life_images=10_000)

    config.checkpoint = dict(every_images=IMAGES // 6)
    config.samples = dict(every_images=IMAGES // 6, rows=8, columns=1)
    config.evaluation = dict(samples=2_000)
    config.log_every = 20
    return config
