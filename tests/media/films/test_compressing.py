"""Clips after video compression."""

import os
import subprocess
import sys

import av
import numpy as np
import pytest

from jaxgan.media.films.compressing import compressed
from jaxgan.media.films.encoding import REPEATABLE

OPTIONS = {"crf": "30", "preset": "veryfast", **REPEATABLE}
HASHED = """
import hashlib, sys
import numpy as np
from jaxgan.media.films.compressing import compressed
blocks = np.kron(np.random.default_rng(0).integers(0, 256, (6, 9, 3)), np.ones((8, 8, 1))).astype(np.uint8)
clip = np.stack([np.roll(blocks, 2 * number, axis=1) for number in range(5)])
print(hashlib.sha256(compressed(clip, 30).tobytes()).hexdigest())
"""


def moving(height, width):
    blocks = np.kron(np.random.default_rng(0).integers(0, 256, (6, 9, 3)), np.ones((8, 8, 1)))
    return np.stack([np.roll(blocks, 2 * number, axis=1)[:height, :width] for number in range(5)]).astype(np.uint8)


def test_the_result_equals_that_of_a_file(tmp_path):
    clip = moving(48, 72)
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = 72, 48, "yuv420p", 1
        for pixels in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(tmp_path / "film.mkv")) as film:
        expected = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])
    np.testing.assert_array_equal(compressed(clip, 30), expected)


def test_uninitialized_memory_does_not_change_the_result():
    filled = [{"MALLOC_PERTURB_": str(byte)} for byte in (85, 255)]  # bytes with which glibc fills new memory
    runs = [[sys.executable, "-c", HASHED] for _ in filled]
    made = [subprocess.check_output(run, env=os.environ | extra) for run, extra in zip(runs, filled, strict=True)]
    assert made[0] == made[1]


@pytest.mark.parametrize("shape", [(1, 2, 2, 3), (3, 17, 33, 3), (5, 16, 16, 1)])
def test_any_size_comes_back(shape):
    clip = moving(48, 72)[: shape[0], : shape[1], : shape[2], : shape[3]]
    made = compressed(clip, 10)
    assert made.shape == shape
    assert np.abs(made.astype(int) - clip).mean() < 20


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="expected 1 or 3 channels, got 4"):
        compressed(np.zeros((1, 8, 8, 4), np.uint8), 20)
