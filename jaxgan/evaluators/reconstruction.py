"""Named scores that compare restored pictures with the held-out originals.

Each held-out picture or clip is degraded once, with its own key, so that every checkpoint restores the same conditions.
Methods without training are scored as well, as baselines.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import jax
import numpy as np

from jaxgan.augment.clip_degradations import MappedNoise
from jaxgan.config.domains import Given, Seed, Several
from jaxgan.config.run import FeatureKind
from jaxgan.data.sources import Pictures, fingerprint
from jaxgan.errors import UserError
from jaxgan.evaluators.baselines import INPUT
from jaxgan.evaluators.clip_baselines import ClipBaseline, Pairs, find_clip_baselines, tuned
from jaxgan.evaluators.evaluator import Restore, Trained
from jaxgan.evaluators.i3d_features import i3d_features
from jaxgan.evaluators.score_files import CONTENTS, existing
from jaxgan.evaluators.time_scores import TIME_SCORES, TimeScores
from jaxgan.fields import Kind
from jaxgan.game import Degradation
from jaxgan.losses.perceptual import lpips
from jaxgan.media.grids import make_grid
from jaxgan.media.images import to_uint8
from jaxgan.metrics.frechet import Gaussian, frechet_distance, gaussian
from jaxgan.metrics.image_quality import GAUSSIAN_WINDOW, SMALLEST_MS_SSIM, ms_ssim, psnr, ssim
from jaxgan.metrics.sliced_wasserstein import patch_descriptors, sliced_wasserstein_distance
from jaxgan.models.pretrained.vgg import LPIPS, PUBLISHED, Backbone, load_backbone, lpips_heads
from jaxgan.parallel import distributed
from jaxgan.system import signals

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]  # two batches [n,H,W,C] in [-1, 1] -> one value each

LARGEST = 384  # pixels: larger pictures are cropped to a centre of this side
MULTIPLE = 16  # sides are cropped to multiples of it, so that every degradation divides them
WIDEST_BORDER = 4  # pixels: the border that is not scored is as wide as the scale, up to this
BEST_PSNR = 100.0  # decibels: value for equal pictures instead of infinity
TILE = 64  # pixels: side of the squares whose patches are compared
PATCHES_PER_TILE = 64
DIRECTIONS = 256
SHOWN, FRAMES_SHOWN = 6, 3  # restored pictures in total, and maximum number of frames per clip
SIDE = 192  # pixels: side of the centre that is shown
TUNED_ON, TUNED_FRAMES = 4, 16  # training clips to tune methods on, and maximum number of frames of each


class Reconstruction:
    """Scores a restoring function against held-out pictures or clips; reports means and standard deviations.

    Higher is better: PSNR in decibels, of RGB and of luma, SSIM, and MS-SSIM if all pictures are large enough for it.
    `ssim_y` is SSIM as reported for super-resolution: of luma, with the Gaussian window of Wang et al. 2004, without a
    border as wide as the scale. Lower is better: LPIPS if a network is given, and the sliced Wasserstein distance of
    patches. Restored pictures are first rounded to 8 bits, as for saving.

    Clips have the means of their frames' scores, and temporal scores: tOF in pixels, the warping error, flicker in
    levels of 255 where the original is still, and tLP if a network is given (see `jaxgan.evaluators.time_scores`).
    These are lower for better restorations, but also for blurred ones; therefore the originals' own values are
    reported too. With the features of I3D there is also `vfid`, the Frechet distance between restored and original
    clips (Wang et al. 2018, "vid2vid").
    """

    names = ("psnr", "psnr_y", "ssim", "ssim_y", "ms_ssim", "lpips", "swd", "vfid", *TIME_SCORES)
    fits: tuple[Kind, Kind] = ("pixels", "pixels")
    best_mode: Literal["min", "max"] = "max"

    def __init__(
        self,
        pictures: Given[Pictures],
        degradation: Given[Degradation | None],
        *,
        training: Given[Callable[[], Pictures] | None] = None,
        samples: Given[Several] = 2_000,
        seed: Given[Seed] = 0,
        scored: Degradation | None = None,
        features: FeatureKind = "auto",
        weights: str | None = None,
    ):
        """`scored` replaces the degradation of training by another, such as noise of a single strength.

        At most `samples` pictures are scored, for clips that many frames in whole clips; `seed` determines the noise of
        the degradation. `training` opens the training split, on which the methods for clips are tuned. `features` may
        be a network for LPIPS, or i3d; `weights` is its file. Raises UserError if that file is missing, for a
        degradation of another kind, and for i3d with fewer than two clips.
        """
        if scored is not None:
            _check_kind(scored, degradation)
            degradation = scored
        self._pictures, self._degradation, self._seed = pictures, degradation, seed
        self._lpips = (features, _make_lpips(features, weights)) if features in LPIPS else None
        self._per_clip = getattr(pictures, "per_clip", 1)
        self._count = max(1, min(samples, pictures.spec.size) // self._per_clip) * self._per_clip
        self._look = i3d_features(weights) if features == "i3d" else None
        if self._look is not None and (self._per_clip == 1 or self._count < 2 * self._per_clip):
            raise UserError("config.evaluation.features: got i3d, expected at least 2 held-out clips to compare by it")
        self.label = "pairs" if degradation is None else degradation.label
        self._training = training

    @property
    def manifest(self) -> dict[str, Any]:
        """What the scores were computed with. Only scores with equal manifests compare."""
        spec = self._pictures.spec
        contents = fingerprint(dict(spec.contents)) if spec.contents else None
        return {
            **({} if contents is None else {CONTENTS: contents}),
            "features": f"pixels, patches of {TILE}-pixel squares"
            + ("" if self._lpips is None else f", {self._lpips[0]}")
            + ("" if self._look is None else f", {self._look.name}"),
            "data": f"{spec.name}/{spec.split}",
            "reference": spec.fingerprint,
            "degradation": self.label,
            "samples": self._count,
            "largest": LARGEST,
            "seed": self._seed,
            **({"frames": self._per_clip, "flow": "Farneback"} if self._per_clip > 1 else {}),
        }

    def run(self, model: Trained, seed: int) -> dict[str, float]:
        """Scores by name: `psnr/LABEL` of the network, `psnr_std/LABEL`, and `psnr_NAME/LABEL` of each baseline.

        For clips also the scores that originals have, such as `flicker_original/LABEL`. Only the first process
        restores; `seed` is unused.
        """
        del seed
        return distributed.by_leader("scores", lambda: existing(self._all_scores(model.restore)))

    def picture(self, model: Trained) -> np.ndarray | None:
        """A grid whose rows show a condition, the baselines' results, the network's result and the original.

        For clips it shows several frames of each, in order.
        """
        if not distributed.leading():
            return None
        clips, places = self._clips(range(self._count)), _spread(self._per_clip, FRAMES_SHOWN)
        clips = [clips[number] for number in _spread(len(clips), SHOWN // len(places))]
        rows = [clip[place] for clip in clips for place in places]
        columns = {"condition": [_enlarged(self.conditions[row], self.originals[row]) for row in rows]}
        for name, images in self.baselines.items():
            if name != INPUT:  # the condition is shown already
                columns[name] = [images[row] for row in rows]
        restored = self._clips(self._restored(model.restore, [self.conditions[row] for clip in clips for row in clip]))
        columns["restored"] = [to_uint8(clip[place]) for clip in restored for place in places]
        columns["original"] = [self.originals[row] for row in rows]
        side = min(SIDE, *(min(image.shape[:2]) for image in columns["original"]))
        tiles = [_centre(pictures[row], side) for row in range(len(rows)) for pictures in columns.values()]
        return make_grid(np.stack(tiles), columns=len(columns), column_labels=list(columns), scale=1)

    def _all_scores(self, restore: Restore) -> dict[str, float]:
        restored = list(map(_rounded, self._restored(restore, self.conditions)))
        return {**self._scores(restored, ""), **self._baseline_scores}

    def _restored(self, restore: Restore, conditions: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The restored images of the conditions; the frames of a clip are restored as one shot."""
        restored = list[np.ndarray]()
        for clip in self._clips(conditions):
            signals.check()
            restored += list(restore(np.stack(clip)))
        return restored

    def _clips(self, pictures: Sequence[Item]) -> list[Sequence[Item]]:
        """The pictures grouped by clip, or each picture on its own."""
        return [pictures[start : start + self._per_clip] for start in range(0, len(pictures), self._per_clip)]

    @functools.cached_property
    def originals(self) -> list[np.ndarray]:
        """The held-out pictures, cropped to their centre: uint8 `[H,W,C]`."""
        return [part["image"] for part in self._parts]

    @functools.cached_property
    def conditions(self) -> list[np.ndarray]:
        """The inputs of restoration, float32 `[h,w,C']`. All frames of a clip are degraded in the same way."""
        if self._degradation is None:
            return [part["condition"] / np.float32(127.5) - 1 for part in self._parts]
        return self._degraded(self._clips(self.originals), jax.random.key(self._seed))

    def _degraded(self, clips: Sequence[Sequence[np.ndarray]], key: jax.Array) -> list[np.ndarray]:
        """The conditions of all frames of uint8 clips. All frames of a clip are degraded in the same way."""
        assert self._degradation is not None
        degrade, degraded = jax.jit(self._degradation.__call__), list[np.ndarray]()
        for index, clip in enumerate(clips):
            given = clip[0] if len(clip) == 1 else np.stack(clip)
            made = np.asarray(degrade(jax.random.fold_in(key, index), given[None] / np.float32(127.5) - 1)[0])
            degraded += [made] if len(clip) == 1 else list(made)
        return degraded

    @functools.cached_property
    def baselines(self) -> dict[str, list[np.ndarray]]:
        """The results of methods without training, uint8, by name; for pictures there is one method.

        Empty if the conditions have other channels than the originals, as edges have.
        """
        degradation = self._degradation
        further = degradation is not None and (degradation.masks or isinstance(degradation, MappedNoise))
        if any(condition.shape[2] - further != self._pictures.spec.image.channels for condition in self.conditions):
            return {}
        found, methods = dict[str, list[np.ndarray]](), find_clip_baselines(self._degradation)
        for method in methods if self._per_clip > 1 else methods[:1]:
            try:
                found[method.name] = self._by_method(method)
            except ImportError as error:
                message = "no scores of %s: it requires the package %s; pip install -e '.[demo,video]'"
                log.warning(message, method.name, error.name)
        return found

    def _by_method(self, method: ClipBaseline) -> list[np.ndarray]:
        if len(method.values) > 1:
            method = tuned(method, self._tuning)
        restored = list[np.ndarray]()
        for clip in self._clips(self.conditions):
            signals.check()
            restored += map(_rounded, method.restore(np.stack(clip), method.values[0]))
        return restored

    @functools.cached_property
    def _tuning(self) -> Pairs:
        """Conditions and originals of some training clips or, if there are none, of some scored clips."""
        pictures = self._pictures
        try:
            pictures = self._training() if self._training is not None else pictures
        except UserError as error:  # for example, shots that are too short
            log.warning("methods without training are tuned on the same clips that they are scored on: %s", error)
        count = pictures.spec.size // self._per_clip
        frames, clips = min(self._per_clip, TUNED_FRAMES), list[list[dict[str, np.ndarray]]]()
        for number in np.unique(np.linspace(0, count - 1, min(count, TUNED_ON)).round().astype(int)):
            parts = (pictures.picture(int(number) * self._per_clip + place) for place in range(frames))
            clips.append([{name: _middle(part[name]) for name in self._wanted} for part in parts])
        originals = [[part["image"] for part in clip] for clip in clips]
        if self._degradation is None:
            flat = [part["condition"] / np.float32(127.5) - 1 for clip in clips for part in clip]
        else:
            flat = self._degraded(originals, jax.random.key(self._seed + 1))  # other noise than in the scores
        conditions = [np.stack(flat[start : start + frames]) for start in range(0, len(flat), frames)]
        return list(zip(conditions, map(np.stack, originals)))

    @functools.cached_property
    def _baseline_scores(self) -> dict[str, float]:
        scores = {} if self._timed is None else self._named(self._timed.of_originals, "_original")
        for name, restored in self.baselines.items():
            scores |= self._scores(restored, f"_{name}")
        return scores

    @functools.cached_property
    def _timed(self) -> TimeScores | None:
        """The temporal scores of clips; None for pictures."""
        if self._per_clip == 1:
            return None
        clips = [np.stack(clip) for clip in self._clips(self.originals)]
        return TimeScores(clips, None if self._lpips is None else self._lpips[1])

    @functools.cached_property
    def _parts(self) -> list[dict[str, np.ndarray]]:
        pictures = (self._pictures.picture(index) for index in range(self._count))
        return [{name: _middle(picture[name]) for name in self._wanted} for picture in pictures]

    def _gaussian(self, pictures: Sequence[np.ndarray]) -> Gaussian:
        """The Gaussian fitted to the I3D features of the clips."""
        assert self._look is not None
        return gaussian(np.concatenate([self._look(np.stack(clip)[None]) for clip in self._clips(pictures)]))

    @functools.cached_property
    def _original_gaussian(self) -> Gaussian:
        return self._gaussian(self.originals)

    @property
    def _wanted(self) -> tuple[str, ...]:
        """The fields of the pictures that are used."""
        return ("image", "condition") if self._degradation is None else ("image",)

    @functools.cached_property
    def _patches(self) -> dict[int, np.ndarray]:
        return patch_descriptors(_tiles(self.originals), patches_per_image=PATCHES_PER_TILE, seed=self._seed)

    def _scores(self, restored: Sequence[np.ndarray], suffix: str) -> dict[str, float]:
        border = 1 if self._degradation is None else min(self._degradation.scale, WIDEST_BORDER)
        pairs = [
            (each[None] / np.float32(127.5) - 1, original[None] / np.float32(127.5) - 1)
            for each, original in zip(restored, self.originals)
        ]
        by_picture = {
            "psnr": [min(float(psnr(*pair, border=border)[0]), BEST_PSNR) for pair in pairs],
            "ssim": [float(ssim(*pair, border=border)[0]) for pair in pairs],
        }
        if all(min(pair[0].shape[1:3]) >= SMALLEST_MS_SSIM for pair in pairs):
            by_picture["ms_ssim"] = [float(ms_ssim(*pair)[0]) for pair in pairs]
        if self._lpips is not None:
            by_picture["lpips"] = [float(self._lpips[1](*pair)[0]) for pair in pairs]
        if self._pictures.spec.image.channels == 3:
            luma = [float(psnr(*pair, border=border, luma=True)[0]) for pair in pairs]
            by_picture["psnr_y"] = [min(value, BEST_PSNR) for value in luma]
            if all(min(pair[0].shape[1:3]) - 2 * border >= GAUSSIAN_WINDOW for pair in pairs):
                reported: Any = {"luma": True, "window": "gaussian", "sample_covariance": False}
                by_picture["ssim_y"] = [float(ssim(*pair, border=border, **reported)[0]) for pair in pairs]
        by_clip = {name: np.reshape(values, (-1, self._per_clip)).mean(axis=1) for name, values in by_picture.items()}
        scores = self._named(by_clip, suffix)
        if self._timed is not None:
            scores |= self._named(self._timed([np.stack(clip) for clip in self._clips(restored)]), suffix)
        if self._look is not None:
            scores[f"vfid{suffix}/{self.label}"] = frechet_distance(*self._original_gaussian, *self._gaussian(restored))
        patches = patch_descriptors(_tiles(restored), patches_per_image=PATCHES_PER_TILE, seed=self._seed)
        distances = [
            sliced_wasserstein_distance(real, patches[size], directions=DIRECTIONS, seed=self._seed)
            for size, real in self._patches.items()
        ]
        return {**scores, f"swd{suffix}/{self.label}": float(np.mean(distances))}

    def _named(self, by_clip: Mapping[str, Sequence[float] | np.ndarray], suffix: str) -> dict[str, float]:
        """Means and standard deviations; clips for which a score is undefined (NaN), such as flicker, are left out."""
        known = {name: np.asarray(values)[~np.isnan(values)] for name, values in by_clip.items()}
        known = {name: values for name, values in known.items() if len(values)}
        scores = {f"{name}{suffix}/{self.label}": float(np.mean(values)) for name, values in known.items()}
        return scores | {f"{name}{suffix}_std/{self.label}": float(np.std(values)) for name, values in known.items()}


def _make_lpips(network: str, weights: str | None) -> Compare:
    """LPIPS with the published weights of a network."""
    if weights is None:
        raise UserError(
            f"config.evaluation.weights is missing: LPIPS requires the file {PUBLISHED[network]} of torchvision"
        )
    backbone, params, heads = Backbone(network, LPIPS[network]), load_backbone(network, weights), lpips_heads(network)
    return jax.jit(lambda restored, original: lpips(restored, original, lambda x: backbone.apply(params, x), heads))


def _spread(count: int, most: int) -> list[int]:
    """At most `most` evenly spaced indices below `count`."""
    most = min(count, most)
    return [(2 * number + 1) * count // (2 * most) for number in range(most)]


def _check_kind(scored: Degradation, degradation: Degradation | None) -> None:
    """Raise UserError if a network trained for one degradation cannot be applied to the results of the other."""

    def kind(each: Degradation | None) -> tuple[int, bool, bool] | None:
        return None if each is None else (each.scale, each.masks, isinstance(each, MappedNoise))

    if kind(scored) != kind(degradation):
        label = "pairs" if degradation is None else degradation.label
        got = f"config.evaluation.scored: got {scored.label}"
        raise UserError(f"{got}, expected a degradation with the scale and the channels of the run's, {label}")


def _middle(picture: np.ndarray) -> np.ndarray:
    """The centre of a picture, with sides that are multiples; smaller pictures are mirrored at their edges."""
    sides = [max(MULTIPLE, min(side, LARGEST) // MULTIPLE * MULTIPLE) for side in picture.shape[:2]]
    missing = [max(0, want - have) for want, have in zip(sides, picture.shape[:2])]
    picture = np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    top, left = ((have - want) // 2 for want, have in zip(sides, picture.shape[:2]))
    return picture[top : top + sides[0], left : left + sides[1]]


def _centre(picture: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def _enlarged(condition: np.ndarray, original: np.ndarray) -> np.ndarray:
    """A condition enlarged to the size of its original by pixel repetition, without its mask."""
    scale, channels = original.shape[0] // condition.shape[0], original.shape[2]
    pixels = to_uint8(condition[..., :channels] if condition.shape[2] > channels else condition)
    return np.broadcast_to(pixels.repeat(scale, axis=0).repeat(scale, axis=1), original.shape)


def _tiles(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """The pictures cut into squares `[n,T,T,C]`; T is `TILE`, or the shortest side of all pictures if that is less."""
    side = min(TILE, *(min(picture.shape[:2]) for picture in pictures))
    tiles = []
    for picture in pictures:
        rows, columns = picture.shape[0] // side, picture.shape[1] // side
        whole = picture[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
        tiles.append(whole.swapaxes(1, 2).reshape(-1, side, side, picture.shape[2]))
    return np.concatenate(tiles)


def _rounded(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(np.asarray(image), -1.0, 1.0) * 127.5 + 127.5).astype(np.uint8)
