"""Files of all kinds that hold credentials, and functions that sign and read them."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageSequence

from jaxgan.media.provenance import signing_key
from jaxgan.media.provenance.credentials import State, read, sign
from jaxgan.media.provenance.origin import Origin, mark_file

c2pa = pytest.importorskip("c2pa")


CREATED = Origin("created", "samples of a generator", "a run", step=12, seed=3, config_sha256="ab" * 32)
LARGEST, LARGEST_WITH_PARENT = 5000, 12000  # bytes that a credential adds
SIDES = 48, 64
FLIPS = 200


def noise(count):
    return [np.random.default_rng(each).integers(0, 256, (*SIDES, 3), dtype=np.uint8) for each in range(count)]


def picture(kind, count=1, **options):
    images = [Image.fromarray(each) for each in noise(count)]
    buffer = io.BytesIO()
    several = {"save_all": True, "append_images": images[1:]} if count > 1 else {}
    images[0].save(buffer, format=kind, **several, **options)
    return buffer.getvalue()


def film(path, codec="h264", **options):
    av = pytest.importorskip("av")
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=24)
        stream.height, stream.width, stream.pix_fmt = *SIDES, "yuv420p"
        for each in noise(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(each, format="rgb24")))
        container.mux(stream.encode())
    return path


PICTURES = {
    "grey.png": lambda: picture("PNG"),
    "moving.png": lambda: picture("PNG", 3),
    "moving.apng": lambda: picture("PNG", 3),
    "a.jpg": lambda: picture("JPEG"),
    "a.jpeg": lambda: picture("JPEG"),
    "a.jpe": lambda: picture("JPEG"),
    "a.jfif": lambda: picture("JPEG"),
    "a.webp": lambda: picture("WEBP"),
    "moving.webp": lambda: picture("WEBP", 3, lossless=True),
    "a.tif": lambda: picture("TIFF"),
    "packed.tiff": lambda: picture("TIFF", compression="tiff_lzw"),
    "a.gif": lambda: picture("GIF"),
    "moving.gif": lambda: picture("GIF", 3),
    "a.avif": lambda: picture("AVIF"),
}
FILMS = ("a.mp4", "a.mov", "a.m4v")
FLIPPED = ("grey.png", "a.jpg", "moving.webp", "a.tif", "moving.gif", "a.avif", "a.mp4", "a.mov")


def elsewhere(monkeypatch, path):
    """Switches to another installation."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path))


def make(path):
    """A file of the kind given by its name, without a credential."""
    if path.name in PICTURES:
        path.write_bytes(PICTURES[path.name]())
        return path
    return film(path)


def signed(path, origin=CREATED):
    """The same file with a credential."""
    target = path.with_name(f"signed-{path.name}")
    sign(path, target, path.suffix, origin, title=path.name)
    return target


def frames(path):
    if path.suffix in (".mp4", ".mov", ".m4v"):
        av = pytest.importorskip("av")
        with av.open(str(path)) as container:
            return [(frame.pts, frame.to_ndarray()) for frame in container.decode(video=0)]
    with Image.open(path) as image:
        return [(each.info.get("duration"), np.asarray(each.convert("RGBA"))) for each in ImageSequence.Iterator(image)]


def manifests(path):
    """The manifests that c2pa itself reads without trusting anybody, and its verdict."""
    with c2pa.Reader(str(path)) as reader:
        return json.loads(reader.json()), reader.get_validation_state()


def run_of(path):
    """Our own assertion."""
    told, _ = manifests(path)
    listed = told["manifests"][told["active_manifest"]]["assertions"]
    return next(each["data"] for each in listed if each["label"] == "org.jaxgan.run")


def signer():
    own = signing_key.load(signing_key.folder())
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", own.certificate + own.root, own.key, None))


def made_by_a_camera():
    return {
        "action": "c2pa.created",
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
    }


def states_of_flips(path, places):
    """The states of a file with one byte changed, for each place."""
    content, changed = path.read_bytes(), path.with_name(f"flipped-{path.name}")
    random = np.random.default_rng(1)
    for place in places:
        copy = bytearray(content)
        copy[place] ^= int(random.integers(1, 256))
        changed.write_bytes(copy)
        found = read(changed)
        yield place, found and found.state


def ours(path, places):
    """The places that can be changed without being noticed."""
    return [place for place, state in states_of_flips(path, places) if state in (State.OURS, State.STRANGER)]


def marked(path):
    """A file with XMP and a credential."""
    mark_file(path, path.suffix, CREATED, title=path.name)
    assert read(path).state is State.OURS
    return path


def restored(parent):
    return Origin("restored", "noise taken out", "denoise", step=5, parent=parent)
