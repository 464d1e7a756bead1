"""Motion collapse lowers the scores of clips; real clips are not affected."""

import numpy as np
import pytest

from jaxgan.config.run import WatchConfig
from jaxgan.data.sources import DataSpec
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.evaluator import Trained
from jaxgan.fields import picture_fields
from jaxgan.stability.watch import motionless

FRAMES, SIDE = 6, 16
WAYS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])


def clips(seed, count, ways=WAYS):
    """Soft dots of all sizes at all places that drift right, left, down or up by a pixel a frame: uint8."""
    random = np.random.default_rng(seed)
    starts, steps = random.uniform(5, 11, (count, 1, 2)), random.choice(ways, count)[:, None]
    places = (starts + steps * np.arange(FRAMES)[:, None])[..., None, None]
    y, x = np.mgrid[:SIDE, :SIDE]
    squares = (x - places[:, :, 0]) ** 2 + (y - places[:, :, 1]) ** 2
    widths = random.uniform(1.5, 3, (count, 1, 1, 1))
    return (np.exp(-squares / (2 * widths**2)) * 200).astype(np.uint8)[..., None]


class Dots:
    """A source of such clips."""

    def __init__(self, still=False):
        self._images = clips(0, 80)[:, [0] * FRAMES] if still else clips(0, 80)
        self.spec = DataSpec("dots", "train", 80, picture_fields(SIDE, SIDE, 1, frames=FRAMES), "0" * 8)

    def read(self, indices):
        return {"image": self._images[np.asarray(indices)]}


def scored(tmp_path, change=lambda clips: clips, ways=WAYS, *, still=False):
    settings = {"samples": 40, "batch_size": 20, "neighbours": 3, "features": "patches"}
    judge = Distribution(Dots(still), cache_dir=str(tmp_path), **settings)
    scores = judge.run(Trained(lambda seed, count: change(clips(seed + 1, count, ways)) / 127.5 - 1.0), 0)
    assert {name.partition("/")[0] for name in scores} <= set(judge.names)
    return scores


def collapsed(scores):
    return [each.partition(" is ")[0] for each in motionless(scores, WatchConfig())]


def test_real_clips_are_no_motion_collapse_and_the_first_frame_repeated_is(tmp_path):
    real = scored(tmp_path)
    assert real["motion/thumbnails"] == pytest.approx(1, abs=0.2)
    assert real["motion_diversity/thumbnails"] == pytest.approx(1, abs=0.2)
    assert collapsed(real) == []
    still = scored(tmp_path, lambda each: each[:, [0] * FRAMES])
    assert still["motion/thumbnails"] == still["motion_diversity/thumbnails"] == 0.0
    assert collapsed(still) == ["motion/thumbnails", "motion_diversity/thumbnails"]


def test_samples_that_move_alike_are_motion_collapse_although_they_look_different(tmp_path):
    alike = scored(tmp_path, ways=WAYS[:1])
    assert alike["motion/thumbnails"] == pytest.approx(1, abs=0.2)
    assert alike["diversity/thumbnail-16px"] > 0.7
    assert collapsed(alike) == ["motion_diversity/thumbnails"]


def test_of_data_that_stand_still_there_are_no_such_scores(tmp_path):
    scores = scored(tmp_path, still=True)
    assert not {name for name in scores if name.startswith("motion")}
    assert motionless(scores, WatchConfig()) is None
