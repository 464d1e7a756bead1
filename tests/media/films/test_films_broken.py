"""Broken films of all kinds give one line: 1,000 mutants for each of the two readers, FFmpeg and Pillow."""

import io
import struct
from fractions import Fraction

import pytest

av = pytest.importorskip("av")

from film_making import TICK, form, greys, source, write  # noqa: E402
from filming import make, scenery  # noqa: E402
from fuzzing import read_mutants  # noqa: E402
from PIL import Image  # noqa: E402

from jaxgan.errors import UserError  # noqa: E402
from jaxgan.media.films.encoding import plan_encoding  # noqa: E402
from jaxgan.media.films.frames import open_frames  # noqa: E402
from jaxgan.media.films.joining import join  # noqa: E402
from jaxgan.media.reading import PictureError  # noqa: E402

SCENE = scenery(8, 32, 48)
FILMS = {
    "a.mp4": ("libx264", "yuv420p", {"sound": 0.2}),
    "a.webm": ("libvpx-vp9", "yuv420p", {"options": {"cpu-used": "8"}}),
    "b.mkv": ("libvpx-vp9", "yuv420p", {"options": {"cpu-used": "8"}}),
    "a.mkv": ("ffv1", "yuv420p", {}),
    "a.avi": ("mpeg4", "yuv420p", {}),
    "a.ts": ("libx264", "yuv420p", {"tick": Fraction(1, 90000)}),
    "a.mov": ("mjpeg", "yuvj420p", {}),
}


def read(path):
    """Reads a film as commands do, and checks that its times increase and its frames have its size."""
    film = open_frames(path)
    try:
        times = []
        for frame in film.frames():
            assert (frame.picture.width, frame.picture.height) == (film.format.width, film.format.height)
            times.append(frame.pts)
        assert times == sorted(set(times))
        film.count()
    finally:
        film.close()


@pytest.mark.slow
def test_broken_films(tmp_path):
    films = [make(tmp_path / name, SCENE, *made, **more).read_bytes() for name, (*made, more) in FILMS.items()]
    read_mutants(read, films, tmp_path / "broken.mkv", refusals=(UserError, PictureError))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_and_texts_of_broken_films(tmp_path, suffix):
    """The other streams of a film are copied after its frames: 500 mutants each."""
    words = ("mov_text" if suffix == ".mp4" else "subrip", [(100, 500, "one"), (900, 400, "two")], {}, 0)
    path = tmp_path / f"a{suffix}"
    source(path, sounds=[("aac", 44100, 1.0, {}, 1)], texts=[words], cover=suffix, chapters=[(0, 1000, "first")])
    segments = write(tmp_path, plan_encoding(form(), suffix), greys(6), [512 * number for number in range(6)], [6])

    def put_together(path):
        target = tmp_path / f"whole{suffix}"
        join(segments, target, suffix, source=path, time_base=TICK, rate=Fraction(25))
        with av.open(str(target)) as film:
            assert sum(1 for _ in film.decode(video=0)) == 6

    read_mutants(put_together, [path.read_bytes()], path, count=500, refusals=(UserError, PictureError))


def animation(kind, **options):
    buffer, (first, *others) = io.BytesIO(), [Image.fromarray(each) for each in SCENE[:5]]
    first.save(buffer, format=kind, save_all=True, append_images=others, duration=40, **options)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Pillow's warnings
def test_broken_animations(tmp_path):
    animations = [animation("GIF"), animation("WEBP"), animation("PNG"), animation("AVIF", speed=10)]
    read_mutants(read, animations, tmp_path / "broken.gif", refusals=PictureError)


@pytest.mark.parametrize("number", [1, 3])
def test_a_frame_of_gigapixels_in_a_small_gif(tmp_path, number, monkeypatch):
    """Pillow enlarges the picture for a frame that extends beyond it: a file of 14 KB took 33 s and 8 GB."""
    parts = animation("GIF").split(whole := b"," + struct.pack("<4H", 0, 0, 48, 32))
    assert len(parts) == 6
    broken = whole.join(parts[: number + 1]) + b"," + struct.pack("<4H", 0, 0, 60000, 60000)
    path = tmp_path / "a.gif"
    path.write_bytes(broken + whole.join(parts[number + 1 :]))
    reserve = Image.core.new

    def small(mode, size, *more):
        assert size[0] * size[1] <= 48 * 32
        return reserve(mode, size, *more)

    monkeypatch.setattr(Image.core, "new", small)
    film = open_frames(path)
    assert len(list(film.frames())) == number
    assert (film.format.width, film.format.height, film.damaged) == (48, 32, True)
    assert film.remarks == [f"it is cut off: its frame {number + 1} does not fit into the picture"]
