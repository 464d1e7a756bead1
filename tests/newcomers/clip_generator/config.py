"""The run of `clip_generator`: python -m jaxgan.main --allow=clip_generator --config ..."""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    config.data = dict(source=dict(name="clip_generator.Dots"))
    config.batch_size = 8
    config.images = 128
    config.networks = dict(
        generator=dict(name="clip_generator.Generator"),
        frame_judge=dict(name="clip_generator.Discriminator"),
        clip_judge=dict(name="clip_generator.Discriminator"),
    )
    config.task = dict(
        name="clip_generator.ClipGeneration",
        of_frames=dict(network="frame_judge", loss="adversarial.non_saturating"),
        of_clips=dict(network="clip_judge", loss="adversarial.hinge"),
    )
    adam = dict(name="adam", learning_rate=1e-3, b1=0.5)
    config.optimizers = dict(generator=adam, frame_judge=adam, clip_judge=adam)
    config.evaluation = dict(samples=64, batch_size=30, features="patches")
    config.samples = dict(rows=2, columns=2)
    config.log_every = 1
    return config
