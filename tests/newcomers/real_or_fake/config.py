"""The run of `real_or_fake`: python -m jaxgan.main --allow=real_or_fake --config ..."""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_digits", resolution=16)
    config.batch_size = 16
    config.images = 64
    config.networks = dict(classifier=dict(name="real_or_fake.Classifier"))
    config.task = dict(name="real_or_fake.RealOrFake")
    config.optimizers = dict(classifier=dict(name="adam", learning_rate=3e-2))
    config.evaluators = dict(test=dict(name="real_or_fake.HeldOut", samples=64, every_images=16))
    config.checkpoint = dict(best="test/auc", keep=1)
    config.log_every = 1
    return config
