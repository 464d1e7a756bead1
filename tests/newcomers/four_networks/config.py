"""The run of `four_networks`: python -m jaxgan.main --allow=four_networks --config ..."""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_digits", resolution=16)
    config.batch_size = 16
    config.images = 64
    config.networks = dict(
        mapping=dict(name="four_networks.StyleMapping"),
        synthesis=dict(name="four_networks.Synthesis"),
        teacher=dict(name="four_networks.Teacher"),
        discriminator=dict(name="mlp.Discriminator", widths=(32,)),
    )
    config.task = dict(name="four_networks.FourNetworks", adversary=dict(loss="adversarial.non_saturating"))
    adam = dict(name="adam", learning_rate=1e-3, b1=0.5)
    config.optimizers = dict(painter=adam, discriminator=adam)
    config.evaluation = dict(samples=64, batch_size=32, features="patches")
    config.samples = dict(rows=2, columns=4)
    config.log_every = 1
    return config
