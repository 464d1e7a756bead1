"""Class-conditional moving digits with R3GAN's image networks (Huang et al. 2024); classes are digit and direction.

    pip install -e '.[demo,video]'
    python -m jaxgan.main --config configs/r3gan_video.py --workdir runs/r3gan_video

The widths are those of r3gan_fashion, for CPUs; a step takes several times as long as one of video_digits.
"""

from ml_collections import ConfigDict

CLIPS, SEEN = 32, 3
IMAGES = 10_000 * CLIPS * SEEN


def cosine(start, stop):
    return dict(name="cosine", start=start, stop=stop, images=IMAGES)


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_moving_digits", resolution=32, frames=16)
    config.batch_size = CLIPS
    config.images = IMAGES

    network = dict(widths=(128, 64, 32, 16), blocks=1, group_width=16)  # at 4, 8, 16 and 32 pixels
    config.networks = dict(
        generator=dict(
            name="video.Frames",
            backbone=dict(name="r3gan.Generator", **network),
            motion=dict(name="motion_codes.Convolved", dim=32, every=8.0),
        ),
        discriminator=dict(name="video.Clips", backbone=dict(name="r3gan.Discriminator", **network), pixels=8),
    )
    gamma = cosine(4.0, 0.4)
    config.task = dict(
        name="video.VideoGeneration",
        condition="label",
        frames_seen=SEEN,
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

    config.checkpoint = dict(every_images=IMAGES // 8)
    config.samples = dict(every_images=IMAGES // 8, rows=8, columns=1)
    config.evaluation = dict(samples=2_000)
    config.log_every = 20
    return config
