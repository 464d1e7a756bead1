"""Scores of a restored film against the original: per frame and temporal.

    python -m benchmarks.restored_films --truth clean.mp4 --output restored.mp4 --json scores.json

Both are films, animations or folders of pictures of one size and with as many frames. Prints PSNR and SSIM, of RGB and
of luma, tOF, warping error and flicker (see `jaxgan.metrics.temporal` and `jaxgan.metrics.motion`): means over the
frames, or steps between them, and the deviation over shots where there are several. What happens at a cut of the truth
counts for nothing. Beside the output stands the truth, which changes from frame to frame, too. Writes
`{name: {mean, deviation, of_truth}}`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import sys
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np

from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.evaluators.time_scores import Mean, change_scores, time_scores
from jaxgan.media.films.cuts import Cuts
from jaxgan.media.films.frames import Frame, Frames, open_frames
from jaxgan.media.reading import PictureError
from jaxgan.metrics.image_quality import GAUSSIAN_WINDOW, psnr, ssim
from jaxgan.metrics.temporal import clip_motion
from jaxgan.system.paths import located
from jaxgan.system.plain import plain

BLOCK = 32  # frames in memory
BEST_PSNR = 100.0  # decibels, for equal frames
UNITS = {"psnr": "dB", "psnr_y": "dB", "tof": "pixels", "warping_error": "/ 1000", "flicker": "levels"}
Means = dict[str, Mean]
Pair = tuple[np.ndarray, np.ndarray]  # a frame of the original and of the output, uint8 [H,W,3]


def frames_of(film: Frames, flag: str) -> Iterator[Frame]:
    """The film's frames. Raises UserError if one cannot be read."""
    try:
        yield from film.frames()
    except PictureError as error:
        raise UserError(f"{flag}: {plain(film.path)}: {error}") from None


def blocks(truth: Frames, output: Frames) -> Iterator[tuple[bool, list[Pair]]]:
    """Both films in blocks within shots of the original, and whether a block is the first of its shot.

    Each later block begins with the last frame of the one before. Raises UserError if one film is shorter.
    """
    watch, block, first = Cuts(), list[Pair](), True
    together = zip_longest(frames_of(truth, "--truth"), frames_of(output, "--output"))
    for number, (one, other) in enumerate(together):
        if one is None or other is None:
            shorter, longer = ("--output", "--truth") if other is None else ("--truth", "--output")
            raise UserError(f"{shorter}: got {number} frames, expected as many as {longer}, which has more")
        cut = watch.seen(one.picture)
        if block and (cut or len(block) == BLOCK):
            yield first, block
            block, first = ([], True) if cut else (block[-1:], False)
        pixels = [np.asarray(each.picture.to_image().convert("RGB")) for each in (one, other)]
        block.append((pixels[0], pixels[1]))
    if block:
        yield first, block


def scores_of(block: list[Pair], border: int, first: bool) -> tuple[Means, Means]:
    """Scores of the output and of the original; the `first` block of a shot has one more frame to count."""
    truth, output = (np.stack(frames) for frames in zip(*block))
    new = slice(0 if first else 1, None)
    found, of_truth = dict[str, Mean](), dict[str, Mean]()
    for name, luma in (("", False), ("_y", True)):
        pair = output[new], truth[new]
        values = psnr(*pair, data_range=255, border=border, luma=luma)
        found[f"psnr{name}"] = Mean.of(np.minimum(values, BEST_PSNR))
        if min(truth.shape[1:3]) - 2 * border >= GAUSSIAN_WINDOW:
            reported: Any = {"window": "gaussian", "sample_covariance": False} if luma else {}
            found[f"ssim{name}"] = Mean.of(ssim(*pair, data_range=255, border=border, luma=luma, **reported))
    if len(block) > 1:
        motion = clip_motion(truth)
        found |= time_scores(output, truth, motion)
        of_truth = change_scores(truth, truth, motion)
    return found, of_truth


def added(one: Means, other: Means) -> Means:
    """Combine both."""
    return {name: one.get(name, Mean()) + other.get(name, Mean()) for name in one | other}


def score(truth: Frames, output: Frames, border: int) -> dict[str, dict[str, float]]:
    """The table of two open films. Raises UserError if they do not match, and PictureError."""
    sizes = [(each.format.width, each.format.height) for each in (truth, output)]
    if sizes[0] != sizes[1]:
        sides = ", ".join(f"{plain(each.path)} has {w} x {h}" for each, (w, h) in zip((truth, output), sizes))
        raise UserError(f"expected two films of one size, got {sides} pixels")
    if 2 * border >= min(sizes[0]):
        raise UserError(f"--border: got {border}, which leaves no pixels of {sizes[0][0]} x {sizes[0][1]} pixels")
    by_shot, own = list[Means](), Means()
    for first, block in blocks(truth, output):
        if first:
            by_shot.append({})
        found, of_truth = scores_of(block, border, first)
        by_shot[-1], own = added(by_shot[-1], found), added(own, of_truth)
    table = {}
    for name in dict.fromkeys(name for means in by_shot for name in means):
        each = [means[name] for means in by_shot if name in means and means[name].count]
        if each:
            table[name] = {"mean": sum(each, Mean()).value, "deviation": float(np.std([mean.value for mean in each]))}
            table[name] |= {"of_truth": own[name].value} if own.get(name, Mean()).count else {}
    return table


def main() -> int:
    """The exit status: 2 if the films cannot be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", required=True, help="the original film")
    parser.add_argument("--output", required=True, help="the restored film")
    parser.add_argument("--border", type=int, default=0, help="pixels that PSNR and SSIM leave out on every side")
    parser.add_argument("--json", help="where to write the table")
    arguments = parser.parse_args()
    try:
        if arguments.border < 0:
            raise UserError(f"--border: got {arguments.border}, expected 0 or more")
        with contextlib.ExitStack() as stack:
            films = list[Frames]()
            for flag in ("truth", "output"):
                path = located(getattr(arguments, flag), f"--{flag}")
                try:
                    films.append(stack.enter_context(contextlib.closing(open_frames(path))))
                except PictureError as error:
                    raise UserError(f"--{flag}: {plain(path)}: {error}") from None
            table = score(films[0], films[1], arguments.border)
            for film in films:
                for remark in film.remarks:
                    print(f"{plain(film.path)}: {plain(remark)}", file=sys.stderr)
    except UserError as error:
        print(f"restored_films: {plain(error)}", file=sys.stderr)
        return MISTAKE
    for name, row in table.items():
        beside = f"   truth {row['of_truth']:.4f}" if "of_truth" in row else ""
        print(f"{name:14} {row['mean']:9.4f} +- {row['deviation']:.4f} {UNITS.get(name, '')}{beside}")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(table, indent=2, allow_nan=False) + "\n")
    return FINISHED


if __name__ == "__main__":
    sys.exit(main())
