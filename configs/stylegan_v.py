"""StyleGAN-V (Skorokhodov et al. 2022): films of 256 pixels and any length, trained on three frames at a time.

    python -m jaxgan.main --config configs/stylegan_v.py --workdir runs/sky --config.data.name=path/to/films

For GPUs or TPUs; not trained here. For films with slow motion, such as skies, the paper has a motion code every 256
frames: --config.networks.generator.motion.every=256. In contrast to the published networks, the time since the start is
not a separate input, and the distances between frames are embedded in a vector of 64 numbers.
"""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="path/to/films", resolution=256, frames=32, flip=True)
    config.batch_size = 64
    config.images = 25_000_000

    config.networks = dict(
        generator=dict(
            name="video.Frames",
            backbone=dict(name="stylegan2.Generator", max_width=512, mapping_layers=2, style_mixing=0.0, noise=False),
            motion=dict(
                name="motion_codes.Acyclic",
                dim=512,
                every=16.0,
                kernel_sizes=(11, 11),
                frequencies=256,
                shortest=16.0,
                longest=1024.0,
                lr_multiplier=0.01,
            ),
        ),
        discriminator=dict(name="video.Clips", backbone=dict(name="stylegan2.Discriminator", max_width=512), pixels=16),
    )
    config.task = dict(
        name="video.VideoGeneration",
        frames_seen=3,
        adversary=dict(
            loss="adversarial.non_saturating",
            penalties=(dict(name="gradient_penalty.r1", gamma="auto", every=16),),
            augment=dict(name="ada.ADA", preset="bgc"),
        ),
        latent_dim=512,
    )
    adam = dict(name="adam", learning_rate=2.5e-3, b1=0.0, b2=0.99)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.ema = dict(half_life_images=20_000, rampup=0.05)

    config.checkpoint = dict(every_images=200_000)
    config.samples = dict(every_images=200_000, rows=8, columns=1)
    config.evaluation = dict(samples=2_048, every_images=1_000_000)
    return config
