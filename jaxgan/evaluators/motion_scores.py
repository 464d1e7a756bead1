"""Scores for clips in which one bright object moves straight between the edges, see `jaxgan.metrics.motion`."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.clip_frames import frames_of
from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.classifier_features import NetworkFeatures, load_or_train_classifier
from jaxgan.evaluators.classifier_scores import classifier_data, classifier_description
from jaxgan.evaluators.reference import Images, description_of, identity
from jaxgan.evaluators.streams import Rows, describe_reals
from jaxgan.metrics.motion import STILL, Motion, changes, identity_kept, motion, speed_distance, stillest

MOST_CLIPS = 5_000  # of the data


class MotionScores:
    """Distance of speeds from the data's, straightness of paths, share of moving clips, kept identity, flicker.

    `speed_ratio` is the distance of the speeds relative to that of motionless clips. `identity` is the share of a
    clip's frames in which a classifier of single frames predicts the same class; it requires labelled data. `flicker`
    is the mean change, in levels of 255, of the stillest pixels; their share is that of the still pixels in the data.
    """

    names = ("speed_distance", "speed_ratio", "straight", "moves", "identity", "flicker")

    def __init__(
        self,
        source: Source,
        held_out: Source | None = None,
        *,
        cache_dir: str,
        samples: int,
        neighbours: int,
        seed: int,
    ):
        """Measure the motion of `samples` real clips, or as many as there are; train the classifier or read it."""
        del neighbours
        self.samples, count = samples, min(samples, source.spec.size, MOST_CLIPS)
        self._look = things_of(source, held_out, cache_dir=cache_dir, seed=seed) if source.spec.classes else None
        self.reals = MotionSamples(None)
        for rows, _ in describe_reals(source, self.describe, count, seed):
            self.reals.add(rows, None)
        self.manifest: dict[str, Any] = {
            "features": "motion",
            **(classifier_description(self._look) if self._look else {}),
            **description_of(source, count, seed),
            "samples": samples,
            **{f"{name.partition('/')[0]}_reals": value for name, value in self.reals.scores().items()},
        }

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Motion, predicted classes of the frames, and histogram of pixel changes of uint8 clips `[n,T,H,W,C]`."""
        rows = {**motion(images)._asdict(), "changes": changes(images)}
        if self._look is None:
            return rows
        found = self._look(images.reshape(-1, *images.shape[2:]))
        return {**rows, "read": found.predicted.reshape(images.shape[:2])}

    def start(self) -> MotionSamples:
        """An empty accumulator of samples."""
        return MotionSamples(self.reals)


class MotionSamples:
    """Accumulates samples and computes their scores."""

    def __init__(self, reals: MotionSamples | None):
        """`reals`: the accumulated real clips; None: this accumulates the real clips themselves."""
        self._reals, self._seen = reals, list[Rows]()

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:  # noqa: ARG002
        """Add samples; labels are ignored."""
        self._seen.append({**rows, "changes": rows["changes"].sum(axis=0, keepdims=True)})

    def all(self, name: str) -> np.ndarray:
        """The descriptions of this name, of all clips added."""
        return np.concatenate([rows[name] for rows in self._seen])

    def scores(self) -> dict[str, float]:
        """Scores by name."""
        found, reals = Motion(*map(self.all, Motion._fields)), self._reals or self
        scores = {"straight": found.straight, "moves": float(found.moves.mean())}
        if self._reals is not None:
            speeds = reals.all("speed")
            distance, still = speed_distance(speeds, found.speed), speed_distance(speeds, np.zeros(1))
            scores = {"speed_distance": distance, **({"speed_ratio": distance / still} if still else {}), **scores}
        if "read" in self._seen[0]:
            scores["identity"] = identity_kept(self.all("read"))
        counts = reals.all("changes").sum(axis=0)
        if share := counts[: int(STILL) + 1].sum() / counts.sum():
            scores["flicker"] = stillest(self.all("changes").sum(axis=0), share)
        return {f"{name}/motion": value for name, value in scores.items()}


def things_of(source: Source, held_out: Source | None, *, cache_dir: str, seed: int) -> NetworkFeatures:
    """A classifier of single frames of clips, from `cache_dir` or trained; `held_out` None: a tenth of the frames.

    It recognises the object, not its motion: classes whose names have the same first word, such as "7 left" and
    "7 up", are merged.
    """
    words = [name.partition(" ")[0] for name in source.spec.classes]
    things = sorted(set(words))
    thing = np.array([things.index(word) for word in words], np.int32)

    def read() -> tuple[Images, Images]:
        found = classifier_data(frames_of(source), frames_of(held_out), seed)
        return found[0]._replace(labels=thing[found[0].labels]), found[1]._replace(labels=thing[found[1].labels])

    sources = [each for each in (source, held_out) if each is not None]
    return load_or_train_classifier(
        data=f"frames of {'; '.join(map(identity, sources))}",
        num_classes=len(things),
        read=read,
        cache_dir=cache_dir,
        sources=[describe(each) for each in sources],
    )
