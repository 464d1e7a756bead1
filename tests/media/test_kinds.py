"""The table of kinds agrees with the libraries that read, write and sign them."""

import pytest
from PIL import Image

from jaxgan.media import kinds

pytestmark = pytest.mark.quick


def test_pillow_knows_the_pictures():
    known = Image.registered_extensions()
    assert known.keys() >= kinds.PICTURES
    assert {suffix: known[suffix] for suffix in kinds.FORMATS} == kinds.FORMATS
    assert set(kinds.FORMATS) <= kinds.PICTURES >= kinds.ANIMATIONS


def test_ffmpeg_knows_the_containers():
    av = pytest.importorskip("av")
    for suffix, name in kinds.CONTAINERS.items():
        assert suffix.removeprefix(".") in av.ContainerFormat(name, "w").extensions or suffix == ".m4v"
    known = {each for name in av.formats_available for each in extensions(av, name)}
    assert {suffix.removeprefix(".") for suffix in kinds.FILMS} - known == {"divx"}  # a name for AVI


def extensions(av, name):
    for mode in "rw":
        try:
            yield from av.ContainerFormat(name, mode).extensions
        except ValueError:
            continue


def test_c2pa_knows_what_is_signed_and_what_may_hold_a_credential():
    c2pa = pytest.importorskip("c2pa")
    assert set(c2pa.Builder.get_supported_mime_types()) >= set(kinds.MEDIA_TYPES.values())
    others = {suffix.removeprefix(".") for suffix in kinds.HOLDERS - kinds.MEDIA_TYPES.keys()}
    assert set(c2pa.Reader.get_supported_mime_types()) >= others


def test_each_container_is_called_by_its_first_suffix():
    assert kinds.SUFFIX_OF == {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv", "webm": ".webm"}
