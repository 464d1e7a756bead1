"""A U-Net of temporal shifts (Qi et al. 2022) against Gaussian noise of 5 to 55 grey levels, on films.

    pip install -e '.[demo,video]'
    python -m jaxgan.main --config configs/vdenoise_clips.py --workdir runs/vdenoise
    python -m jaxgan.main --mode=apply --workdir runs/vdenoise --input film.mp4 --output clean.mp4

On the shots of real films that come with the extra `demo`; for others --config.data.name=FOLDER. The network is told
how strong the noise is, and estimates it where a film does not say. For one that is never told:
--config.task.degradation.name=degradations.GaussianNoise --config.networks.generator.noise=blind.
`vdenoise_clips.py:alone` is the same network without its shifts, which sees each frame by itself, to compare with.
Sized for 20 minutes on two CPU cores: at 25 levels carphone 32.00 dB, non-local means 30.41, `:alone` 31.14
(docs/video.md).
"""

from ml_collections import ConfigDict

CLIPS, FRAMES = 4, 7
IMAGES = 3_600 * CLIPS * FRAMES


def get_config(variant="film"):
    if variant not in ("film", "alone"):
        raise ValueError(f"got variant {variant}, expected one of film, alone")
    config = ConfigDict()
    config.data = dict(name="jaxgan_clips", frames=FRAMES, hop=4, resolution=64, crops=32, flip=True)
    config.batch_size = CLIPS
    config.images = IMAGES

    config.networks = dict(
        generator=dict(name="shift_unet.Generator", base_width=16, parts=8, noise="map", temporal=variant == "film"),
    )
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="clip_degradations.MappedNoise", strength=(5.0, 55.0)),
        content=(dict(name="reconstruction.charbonnier"),),
    )
    rate = dict(name="cosine", start=1e-3, stop=1e-5, images=IMAGES)
    config.optimizers = dict(generator=dict(name="adam", learning_rate=rate, b1=0.9, b2=0.99))
    config.ema = dict(half_life_images=100 * CLIPS * FRAMES)

    config.evaluators = dict(films=dict(name="reconstruction.Reconstruction", data=dict(frames=40, hop=None)))
    config.checkpoint = dict(every_images=1_000 * CLIPS * FRAMES)
    config.samples = dict(every_images=1_000 * CLIPS * FRAMES)
    config.log_every = 20
    return config
