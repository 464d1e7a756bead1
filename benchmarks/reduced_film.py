"""Reduce a film by a whole factor, without further loss, for scoring.

    python -m benchmarks.reduced_film --input vtest.avi --output clips/vtest.mkv --factor 2

Each pixel is the mean of a square of `factor` pixels; rows and columns that do not fill one are left out. The output is
FFV1 in RGB. Compression and grain of the original are reduced with it, so that what is left can be a truth.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys

import av
import numpy as np

from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.media.films.frames import open_frames
from jaxgan.media.reading import PictureError
from jaxgan.system.paths import located
from jaxgan.system.plain import plain


def reduced(picture: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of pixels of a picture uint8 `[h,w,3]`: `[h // factor, w // factor, 3]`."""
    height, width = (side // factor for side in picture.shape[:2])
    squares = picture[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return np.rint(squares.mean(axis=(1, 3))).astype(np.uint8)


def write(source: str, target: pathlib.Path, factor: int) -> int:
    """Write the film at 25 frames per second; returns the number of frames. Raises UserError for other files."""
    count = 0
    try:
        with contextlib.ExitStack() as stack:
            film = stack.enter_context(contextlib.closing(open_frames(source)))
            size = film.format.width // factor, film.format.height // factor
            if not min(size):
                raise UserError(f"--factor: got {factor}, expected at most the shorter side of the frames")
            container = stack.enter_context(av.open(str(target), "w"))
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
            for frame in film.frames():
                pixels = reduced(np.asarray(frame.picture.to_image().convert("RGB")), factor)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
                count += 1
            container.mux(stream.encode(None))
    except PictureError as error:
        raise UserError(f"--input: {plain(source)}: {error}") from None
    return count


def main() -> int:
    """The exit status: 2 if the film cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, help="any film")
    parser.add_argument("--output", required=True, type=pathlib.Path, help="an .mkv file")
    parser.add_argument("--factor", type=int, default=2, help="number of pixels along a side that become one")
    arguments = parser.parse_args()
    try:
        if arguments.factor < 1:
            raise UserError(f"--factor: got {arguments.factor}, expected 1 or more")
        if arguments.output.suffix != ".mkv":
            raise UserError(f"--output: got {plain(arguments.output)}, expected a name that ends with .mkv")
        source = located(arguments.input, "--input")
        if arguments.output.exists():
            raise UserError(f"--output: {plain(arguments.output)}: got an existing file, expected a new one")
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        print(f"{write(source, arguments.output, arguments.factor)} frames")
    except UserError as error:
        print(f"reduced_film: {plain(error)}", file=sys.stderr)
        return MISTAKE
    return FINISHED


if __name__ == "__main__":
    sys.exit(main())
