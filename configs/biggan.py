"""BigGAN at 128 pixels (Brock et al. 2019): class-conditional, spectral norm, self-attention, hierarchical latents.

    python -m jaxgan.main --config configs/biggan.py --workdir runs/biggan --config.data.data_dir=DATA_DIR

The batch of 2,048 is the published one and needs a TPU pod or many GPUs. Not trained to the end here. Learning rates
and Adam's epsilon are those of the authors' PyTorch scripts, which update the discriminator once a step; the paper has
5e-5, 2e-4 and two updates. BigGAN is known to collapse late: the best checkpoint is kept beside the last.
"""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="imagenet2012", evaluation_split="validation", resolution=128, fit="crop", flip=True)
    config.batch_size = 2048
    config.images = 300_000_000

    config.networks = dict(
        generator=dict(name="biggan.Generator", base_width=96),
        discriminator=dict(name="biggan.Discriminator", base_width=96),
    )
    config.task = dict(
        name="generation.Generation",
        condition="label",
        adversary=dict(loss="adversarial.hinge"),
        latent_dim=120,
        generator_penalties=(dict(name="orthogonal.orthogonal", weight=1e-4),),
        standing_passes=100,
    )
    config.optimizers = dict(
        generator=dict(name="adam", learning_rate=1e-4, b1=0.0, b2=0.999, eps=1e-6),
        discriminator=dict(name="adam", learning_rate=4e-4, b1=0.0, b2=0.999, eps=1e-6),
    )
    config.ema = dict(half_life_images=14_200_000)  # a decay of 0.9999 a step

    config.checkpoint = dict(every_images=2_000_000)
    config.samples = dict(every_images=2_000_000)
    config.evaluation = dict(samples=10_000, every_images=4_000_000)
    return config
