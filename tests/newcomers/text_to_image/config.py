"""The run of `text_to_image`: python -m jaxgan.main --allow=text_to_image --config ..."""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(source=dict(name="text_to_image.Captions"), resolution=16)
    config.batch_size = 16
    config.images = 64
    config.networks = dict(
        generator=dict(name="text_to_image.Painter"), discriminator=dict(name="text_to_image.Critic")
    )
    config.task = dict(
        name="generation.Generation",
        adversary=dict(loss="adversarial.non_saturating"),
        latent_dim=16,
        condition="caption",
        mismatched=True,
    )
    adam = dict(name="adam", learning_rate=1e-3, b1=0.5)
    config.optimizers = dict(generator=adam, discriminator=adam)
    config.evaluation = dict(samples=64, batch_size=32, features="patches")
    config.samples = dict(rows=2, columns=4)
    config.log_every = 1
    return config
