"""The run of `recurrent_restorer`: python -m jaxgan.main --allow=recurrent_restorer,clip_generator --config ..."""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(source=dict(name="clip_generator.Dots", side=16))
    config.batch_size = 8
    config.images = 128
    config.networks = dict(restorer=dict(name="recurrent_restorer.Enlarger"))
    config.task = dict(name="recurrent_restorer.Enlarging")
    config.optimizers = dict(restorer=dict(name="adam", learning_rate=1e-2))
    config.evaluation = dict(samples=16)
    config.log_every = 1
    return config
