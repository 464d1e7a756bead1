"""A gated U-Net of temporal shifts that fills moving holes in films from other frames; patches of clips second.

    pip install -e '.[demo,video]'
    python -m jaxgan.main --config configs/vinpaint_clips.py --workdir runs/vinpaint
    python -m jaxgan.main --mode=apply --workdir runs/vinpaint --input scene.mp4 --mask mask.mp4 --output filled.mp4

Holes are first filled with the median of what is known of a pixel in 33 frames, 16 of them later ones, which
suits a camera that stands or moves slowly; of one that moves --config.networks.generator.filled=flow copies along the
optical flow. On the shots of real films that come with the extra `demo`; for others --config.data.name=FOLDER.
`vinpaint_clips.py:alone` sees each frame by itself, to compare with. Half an hour on one CPU core: carphone 29.32 dB,
the median of other frames 28.87, `:alone` 21.58 (docs/video.md).
"""

from ml_collections import ConfigDict

CLIPS, FRAMES = 4, 7
CONTENT, TOTAL = (steps * CLIPS * FRAMES for steps in (2_200, 2_600))  # images of the first stage, and of both


def get_config(variant="film"):
    if variant not in ("film", "alone"):
        raise ValueError(f"got variant {variant}, expected one of film, alone")
    window, future = (33, 16) if variant == "film" else (7, 3)  # frames of the median, of which `:alone` has none
    config = ConfigDict()
    config.data = dict(name="jaxgan_clips", frames=FRAMES, hop=4, resolution=64, crops=32, flip=True)
    config.batch_size = CLIPS
    config.images = TOTAL

    config.networks = dict(
        generator=dict(
            name="shift_unet.Generator",
            base_width=24,
            parts=8,
            unshuffle=2,
            gated=True,
            temporal=variant == "film",
            filled="median" if variant == "film" else "smooth",
            window=window,
            future=future,
        ),
        discriminator=dict(name="patchgan.ClipDiscriminator", base_width=16, halvings=2, norm="none"),
    )
    config.task = dict(
        name="restoration.Restoration",
        degradation=dict(name="clip_degradations.ClipMasks", kind="strokes", moving=0.75),
        content=(dict(name="reconstruction.l1", weight=10.0), dict(name="reconstruction.masked_l1")),
        adversary=dict(loss="adversarial.non_saturating", penalties=(dict(name="gradient_penalty.r1", gamma=0.1),)),
        adversarial_weight=0.01,
        adversarial_start=CONTENT,
    )
    rate = dict(name="cosine", start=1e-3, stop=2e-5, images=TOTAL)
    config.optimizers = dict(
        generator=dict(name="adam", learning_rate=rate, b1=0.9, b2=0.99),
        discriminator=dict(name="adam", learning_rate=5e-4, b1=0.5, b2=0.99),
    )
    config.ema = dict(half_life_images=100 * CLIPS * FRAMES)

    config.evaluators = dict(films=dict(name="reconstruction.Reconstruction", data=dict(frames=40, hop=None)))
    config.checkpoint = dict(every_images=400 * CLIPS * FRAMES)
    config.samples = dict(every_images=400 * CLIPS * FRAMES)
    config.evaluation = dict(every_images=CONTENT)
    config.log_every = 20
    return config
