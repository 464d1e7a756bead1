"""The run of `two_sources`: python -m jaxgan.main --allow=two_sources --config ..."""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_digits", split="train[:50%]", resolution=16)
    config.more_data = dict(b=dict(source=dict(name="two_sources.Negatives"), split="train[60%:]", resolution=16))
    config.batch_size = 8
    config.images = 96
    config.networks = dict(
        a_to_b=dict(name="two_sources.Translator"),
        b_to_a=dict(name="two_sources.Translator"),
        judge_a=dict(name="mlp.Discriminator", widths=(32,)),
        judge_b=dict(name="mlp.Discriminator", widths=(32,)),
    )
    config.task = dict(name="two_sources.Translation", loss="adversarial.least_squares")
    adam = dict(name="adam", learning_rate=2e-3, b1=0.5)
    config.optimizers = dict(translator=adam, judge_a=adam, judge_b=adam)
    config.evaluation = dict(samples=8)
    config.log_every = 1
    return config
