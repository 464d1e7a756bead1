"""Files state what made them in a form that other programs read, and are otherwise unchanged."""

import dataclasses
import io
import re
import struct
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from jaxgan.media.grids import save_grid
from jaxgan.media.images import save_image
from jaxgan.media.provenance import credentials
from jaxgan.media.provenance.origin import (
    Origin,
    Remark,
    Unsigned,
    digital_source_type,
    film_tags,
    mark_file,
    packet_of,
    read_statement,
    read_xmp,
)
from jaxgan.media.provenance.xmp import parse_packet
from jaxgan.media.reading import Picture, read_picture
from jaxgan.media.videos import save_animation
from jaxgan.media.writing import write_picture

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # https://cv.iptc.org/newscodes/digitalsourcetype/
CREATED, RESTORED = IPTC + "trainedAlgorithmicMedia", IPTC + "compositeWithTrainedAlgorithmicMedia"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
ADOBE = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")  # XMP specification, part 3, 1.2.7.1
ORIGIN = Origin("created", "samples of a generator", "a run", step=12, seed=3)
random = np.random.default_rng(0)


@pytest.fixture(autouse=True, params=["unsigned", "signed"])
def signed(request, monkeypatch):
    """Without c2pa-python, and with it: whether files are signed."""
    if request.param == "unsigned":
        monkeypatch.setattr(credentials, "available", lambda: False)
    else:
        pytest.importorskip("c2pa")
    return request.param == "signed"


def agreed(path, signed):
    """The source type, which must be the same in the XMP and the credential, if there is one."""
    found = credentials.read(path) if signed else None
    assert (found is not None) == signed
    if found is not None:
        assert found.state == credentials.State.OURS
        assert IPTC + found.source_type == digital_source_type(path)
    return digital_source_type(path)


def said(packet):
    """The source type as found by an XML parser."""
    text = packet.decode() if isinstance(packet, bytes) else packet
    described = ElementTree.fromstring(text).find(f".//{RDF}Description")
    return described.get(SOURCE_TYPE)


def by_pillow(path):
    with Image.open(path) as image:
        return image.info["xmp"]


def by_tifffile(path):
    with tifffile.TiffFile(path) as file:
        return file.pages[0].tags[700].value


def in_gif(path):
    with Image.open(path) as image:
        name, place = image.info["extension"]
    assert name == b"XMP DataXMP"
    return re.match(rb"<.*>(?=\x01\xff\xfe)", path.read_bytes()[place:], re.DOTALL)[0]


def in_boxes(path):
    content, place = path.read_bytes(), 0
    while place < len(content):
        size, name = struct.unpack(">I4s", content[place : place + 8])
        if name == b"uuid" and content[place + 8 : place + 24] == ADOBE:
            return content[place + 24 : place + size]
        place += size
    return None


def noise(*shape, dtype=np.uint8):
    return random.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


PICTURES = [
    (suffix, dtype, channels, alpha)
    for suffix in (".png", ".tif", ".webp", ".jpg")
    for dtype in (np.uint8, np.uint16)
    for channels in (1, 3)
    for alpha in (False, True)
    if suffix in (".png", ".tif") or (dtype == np.uint8 and not (alpha and suffix == ".jpg"))
]


@pytest.mark.parametrize(("suffix", "dtype", "channels", "alpha"), PICTURES)
def test_a_marked_picture_is_the_same_and_says_what_made_it(tmp_path, signed, suffix, dtype, channels, alpha):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    samples, top = noise(37, 50, channels + alpha, dtype=dtype), float(np.iinfo(dtype).max)
    picture = Picture(samples[..., :channels], samples[..., channels:] if alpha else None, (0.0, top))
    picture = dataclasses.replace(picture, exif=exif.tobytes(), icc=b"profile" * 9)
    plain, marked = tmp_path / f"plain{suffix}", tmp_path / f"marked{suffix}"
    lost = write_picture(plain, picture)
    remarks = write_picture(marked, picture, ORIGIN)
    assert [remark for remark in remarks if not isinstance(remark, Remark)] == list(lost)
    found, wanted = read_picture(marked), read_picture(plain)
    np.testing.assert_array_equal(found.pixels, wanted.pixels)
    if alpha:
        np.testing.assert_array_equal(found.alpha, wanted.alpha)
    assert (found.icc, found.exif, found.format) == (wanted.icc, wanted.exif, wanted.format)
    assert said(by_pillow(marked)) == agreed(marked, signed) == CREATED
    assert digital_source_type(plain) is None  # Pillow's own files have nothing
    if suffix == ".tif":
        assert said(by_tifffile(marked)) == CREATED
    assert marked.stat().st_size - plain.stat().st_size < 1536 + 5000 * signed  # TIFF writes its directory twice
    assert {each.name for each in tmp_path.iterdir()} == {plain.name, marked.name}


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_webp_without_vp8x_gets_one(tmp_path, signed, lossless, alpha):
    path, pixels = tmp_path / "a.webp", noise(17, 300, 3 + alpha)
    Image.fromarray(pixels).save(path, lossless=lossless)
    with Image.open(path) as image:
        wanted = np.asarray(image)
    mark_file(path, ".webp", ORIGIN, title="a.webp")
    content = path.read_bytes()
    assert content[12:16] == b"VP8X"
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), wanted)
    assert said(by_pillow(path)) == agreed(path, signed) == CREATED


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_any_order_and_of_several_pages(tmp_path, signed, order):
    path, pages = tmp_path / "a.tif", noise(3, 20, 31, 3, dtype=np.uint16)
    tifffile.imwrite(path, pages, byteorder=order, photometric="rgb")
    mark_file(path, ".tif", ORIGIN, title="a.tif")
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 3 + signed  # c2pa adds a page to files of several pages
        np.testing.assert_array_equal([page.asarray() for page in file.pages[:3]], pages)
    assert said(by_tifffile(path)) == agreed(path, signed) == CREATED


def test_a_second_mark_takes_the_place_of_a_tiffs_first(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(noise(8, 8, 3)).save(path)
    for action in ("created", "restored"):
        mark_file(path, ".tif", dataclasses.replace(ORIGIN, action=action), title="a.tif")
    assert said(by_tifffile(path)) == RESTORED


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_animations_play_as_they_did(tmp_path, signed, kind):
    path = tmp_path / f"a.{kind}"
    frames = [Image.fromarray(noise(24, 40, 3)) for _ in range(5)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 80, 120, 40, 200], loop=3)

    def played():
        with Image.open(path) as image:
            shown = [
                (np.asarray(frame.convert("RGBA")), frame.info["duration"]) for frame in ImageSequence.Iterator(image)
            ]
            return shown, image.info["loop"]

    wanted, loop = played()
    mark_file(path, f".{kind}", ORIGIN, title=path.name)
    found, played_again = played()
    assert len(found) == 5
    assert played_again == loop == 3
    for (frame, duration), (before, lasting) in zip(found, wanted):
        np.testing.assert_array_equal(frame, before)
        assert duration == lasting
    assert said(in_gif(path) if kind == "gif" else by_pillow(path)) == agreed(path, signed) == CREATED


def test_a_gif87a_becomes_gif89a_when_marked(tmp_path, signed):
    path = tmp_path / "a.gif"
    Image.fromarray(noise(9, 9)).save(path)
    path.write_bytes(b"GIF87a" + path.read_bytes()[6:])
    mark_file(path, ".gif", ORIGIN, title="a.gif")
    assert path.read_bytes()[:6] == b"GIF89a"
    assert said(in_gif(path)) == agreed(path, signed) == CREATED


def film(path, container):
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format=container, options={}) as output:
        stream = output.add_stream("libvpx" if container == "webm" else "h264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for _ in range(6):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(noise(32, 48, 3), format="rgb24")))
        output.mux(stream.encode())


def packets_and_frames(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as source:
        packets = [(packet.pts, packet.duration, bytes(packet)) for packet in source.demux(video=0)]
    with av.open(str(path)) as source:
        return packets, [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_films_play_as_they_did(tmp_path, signed, kind):
    path = tmp_path / f"a.{kind}"
    film(path, kind)
    packets, frames = packets_and_frames(path)
    mark_file(path, f".{kind}", ORIGIN, title=path.name)
    found, shown = packets_and_frames(path)
    assert found == packets
    assert len(shown) == 6
    np.testing.assert_array_equal(shown, frames)
    assert said(in_boxes(path)) == agreed(path, signed) == CREATED


def test_a_film_whose_last_box_has_no_end_is_left_as_it_is(tmp_path, signed):
    path = tmp_path / "a.mp4"
    film(path, "mp4")
    content = path.read_bytes() + b"\0\0\0\0free" + b"rest"
    path.write_bytes(content)
    assert mark_file(path, ".mp4", ORIGIN, title="a.mp4")[0] == "MP4 holds no XMP"
    assert signed or path.read_bytes() == content


@pytest.mark.parametrize("kind", ["matroska", "webm"])
def test_matroska_stores_xmp_in_its_tags(tmp_path, kind):
    av, suffix = pytest.importorskip("av"), {"matroska": ".mkv", "webm": ".webm"}[kind]
    path, tagged = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    film(path, kind)
    assert len(mark_file(path, suffix, ORIGIN, title=path.name)) == 1  # it cannot be added to a finished file
    with av.open(str(path)) as source, av.open(str(tagged), "w", format=kind) as output:
        output.metadata.update(film_tags(ORIGIN))
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    assert digital_source_type(tagged) == CREATED
    (remark,) = mark_file(tagged, suffix, ORIGIN, title=tagged.name)
    assert remark == f"{suffix[1:].upper()} holds XMP, but no signed credential"
    with av.open(str(tagged)) as source:
        assert said(next(value for name, value in source.metadata.items() if name.upper() == "XMP")) == CREATED


STRAYS = {
    "begin": "<x:xmpmeta",
    "whole": "<x:xmpmeta></x:xmpmeta>",
    "end": "</x:xmpmeta>",
    "begin and end": "</x:xmpmeta> <x:xmpmeta> <x:xmpmeta",
    "a packet": packet_of(Origin("restored", "of somebody else", "a camera")).decode(),
}


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("where", ["before", "stream", "behind"])
@pytest.mark.parametrize("kind", ["matroska", "webm"])
def test_titles_that_look_like_xmp_do_not_hide_it(tmp_path, kind, stray, where):
    av = pytest.importorskip("av")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w", format=kind) as output:
        title = {"title" if where == "before" else "zzz": STRAYS[stray]}
        output.metadata.update({**title, **film_tags(ORIGIN)} if where == "before" else film_tags(ORIGIN))
        stream = output.add_stream("libvpx", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        (stream.metadata if where == "stream" else output.metadata).update(title)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(noise(32, 48, 3), format="rgb24")))
        output.mux(stream.encode())
    assert digital_source_type(path) == CREATED


@pytest.mark.parametrize("stray", list(STRAYS)[:-1])
def test_text_that_looks_like_xmp_does_not_hide_it_in_other_files(tmp_path, stray):
    text = STRAYS[stray].encode()
    (tmp_path / "a.ts").write_bytes(b"film" + text + b"film" + packet_of(ORIGIN) + text)
    assert digital_source_type(tmp_path / "a.ts") == CREATED


def test_very_many_beginnings_keep_nobody_busy(tmp_path):
    """2 MB of begin tags; the texts from each to the single end tag would have 90 GB in all."""
    text = b"<x:xmpmeta" * 99_000
    (tmp_path / "a.ts").write_bytes(text + b"</x:xmpmeta>" * 3 + bytes(2**20) + text + packet_of(ORIGIN))
    start = time.perf_counter()
    assert digital_source_type(tmp_path / "a.ts") == CREATED
    assert time.perf_counter() - start < 2


def test_bmp_cannot_be_marked_and_one_remark_reports_it(tmp_path):
    path = tmp_path / "a.bmp"
    assert write_picture(path, Picture(noise(8, 8, 3)), ORIGIN) == (
        "BMP cannot store that a model made it: it holds neither XMP nor a credential",
    )
    assert read_xmp(path) is None


@pytest.mark.parametrize(
    "name", ["", 'a "run" & <b>\'s', "ein Läufer", "走" * 300, "\0\x1b[31m\udcff", "&" * 500, "a\nb"]
)
def test_odd_names_are_escaped_and_never_make_a_long_packet(tmp_path, name):
    origin = Origin("restored", f"restored {name}", name, step=10**9)
    packet = packet_of(origin)
    assert len(packet) <= 1024
    assert said(packet) == RESTORED
    path = tmp_path / "a.png"
    save_image(noise(4, 4, 3), path, origin)
    found = read_statement(path)
    assert found.source_type == RESTORED
    assert found.version == "step 1000000000"
    if 0 < len(name) < 30 and name.isprintable():
        assert found.model == name
        assert found.description == f"restored {name}"


def test_what_the_statement_says(tmp_path):
    save_grid(noise(4, 8, 8, 3), tmp_path / "a.png", columns=2, origin=ORIGIN)
    save_animation(noise(3, 8, 8, 3), tmp_path / "b.gif", 10, ORIGIN)
    first, second = (read_statement(tmp_path / name) for name in ("a.png", "b.gif"))
    assert re.fullmatch(r"jaxgan \d+\.\d+\.\d+", first.tool)
    assert (first.model, first.version, first.description) == ("a run", "step 12", "samples of a generator")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.created)
    assert first.identifier.startswith("uuid:")
    assert first.identifier != second.identifier


def test_the_packet_as_a_parser_reads_it():
    """XMP specification, part 1, 7.3.2 and 8; part 2; IPTC photo metadata 2025.1. No name is taken from the writer."""
    packet = packet_of(ORIGIN).decode()
    assert packet.startswith('<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="w"?>')
    root = ElementTree.fromstring(packet)
    assert root.tag == "{adobe:ns:meta/}xmpmeta"
    ((described,),) = root
    assert (root[0].tag, described.tag) == (f"{RDF}RDF", f"{RDF}Description")
    xmp, iptc = "{http://ns.adobe.com/xap/1.0/}", "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
    assert described.get(f"{xmp}CreatorTool").startswith("jaxgan ")
    assert described.get(f"{xmp}CreateDate").endswith("Z")
    assert described.get("{http://ns.adobe.com/xap/1.0/mm/}InstanceID").startswith("uuid:")
    assert described.get(f"{iptc}DigitalSourceType") == CREATED
    assert described.get(f"{iptc}AISystemUsed") == "a run"
    assert described.get(f"{iptc}AISystemVersionUsed") == "step 12"
    ((alternatives,),) = (described.findall("{http://purl.org/dc/elements/1.1/}description"),)
    ((text,),) = alternatives.findall(f"{RDF}Alt")
    assert (text.tag, text.text) == (f"{RDF}li", "samples of a generator")
    assert text.get("{http://www.w3.org/XML/1998/namespace}lang") == "x-default"


@pytest.mark.parametrize(("name", "most"), [("model", 36), ("description", 138)])
def test_texts_are_kept_up_to_a_length(name, most):
    def told(text):
        return getattr(parse_packet(packet_of(dataclasses.replace(ORIGIN, **{name: text})).decode()), name)

    assert told("x" * most) == "x" * most
    assert told("x" * (most + 1)) == "x" * (most - 2) + ".."
    assert told("ä" * (most // 2)) == "ä" * (most // 2)  # bytes, as they are written
    assert told("ä" * (most // 2 + 1)) == "ä" * (most // 2 - 1) + ".."


def test_one_megabyte_at_both_ends_is_looked_through(tmp_path):
    path, packet = tmp_path / "a.ts", packet_of(ORIGIN).rpartition(b"<?xpacket")[0]
    before = len(packet) - packet.index(b"<x:xmpmeta")
    for start in (True, False):
        for more in (0, 1):
            near, far = bytes(1_048_576 - before + more), bytes(2_500_000)
            text = packet[-before:]
            path.write_bytes(near + text + far if start else far + text + near)
            assert (read_xmp(path) is None) == bool(more)


def test_pictures_beside_others_are_composites():
    assert said(packet_of(ORIGIN)) == CREATED
    assert said(packet_of(dataclasses.replace(ORIGIN, mixed=True))) == RESTORED


def test_what_others_wrote_is_read_too(tmp_path):
    path = tmp_path / "a.jpg"
    described = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        "<e:DigitalSourceType{}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    for form in (f">{CREATED}</e:DigitalSourceType>", f' rdf:resource="{CREATED}"/>'):
        Image.fromarray(noise(8, 8, 3)).save(path, xmp=described.format(form).encode())
        assert digital_source_type(path) == CREATED
    assert read_picture(path).remarks == ("its XMP is not kept",)


@pytest.mark.parametrize(
    "content",
    [b"", b"<x:xmpmeta>", b"GIF89a", b"\xff\xd8\xff\xe0\0", b"RIFF....WEBPVP8X", b"II*\0"],
)
def test_files_that_are_cut_off_are_left_as_they_are(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert read_statement(path) is None
    assert mark_file(path, ".png", ORIGIN, title="a.png")[0] == "PNG holds no XMP"
    assert path.read_bytes() == content


def test_xmp_that_would_keep_a_parser_busy_is_not_read(tmp_path):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + packet_of(ORIGIN).decode()
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.jpg", xmp=bomb.encode())
    assert read_xmp(tmp_path / "a.jpg") is not None
    assert read_statement(tmp_path / "a.jpg") is None


def test_the_lack_of_c2pa_is_told_in_words_that_help(tmp_path, signed):
    remarks = save_image(noise(4, 4, 3), tmp_path / "a.png", ORIGIN)
    if signed:
        assert remarks == ()
        return
    (remark,) = remarks
    assert isinstance(remark, Remark)
    assert "pip install -e '.[provenance]'" in remark


def test_a_credential_that_fails_leaves_the_picture_with_its_xmp(tmp_path, monkeypatch):
    def fails(path, signed, suffix, origin, *, title):
        signed.write_bytes(b"half")
        raise credentials.CredentialError("the key is of somebody else")

    monkeypatch.setattr(credentials, "available", lambda: True)
    monkeypatch.setattr(credentials, "sign", fails)
    (remark,) = write_picture(tmp_path / "a.tif", Picture(noise(8, 8, 3)), ORIGIN)
    assert isinstance(remark, Unsigned)
    assert remark == "no signed credential: the key is of somebody else"
    assert digital_source_type(tmp_path / "a.tif") == CREATED
    assert [each.name for each in tmp_path.iterdir()] == ["a.tif"]


def test_the_credential_is_made_last_from_one_file_to_another(tmp_path, monkeypatch):
    def signs(path, signed, suffix, origin, *, title):
        assert (suffix, origin, title) == (".png", ORIGIN, "a.png")
        assert digital_source_type(path) == CREATED
        signed.write_bytes(path.read_bytes() + b"signed")

    monkeypatch.setattr(credentials, "available", lambda: True)
    monkeypatch.setattr(credentials, "sign", signs)
    assert save_image(noise(8, 8, 3), tmp_path / "a.png", ORIGIN) == ()
    assert (tmp_path / "a.png").read_bytes().endswith(b"signed")


def test_a_save_by_pillow_alone_has_no_statement_even_of_a_marked_picture(tmp_path):
    path = tmp_path / "a.png"
    save_image(noise(8, 8, 3), path, ORIGIN)
    buffer = io.BytesIO(path.read_bytes())
    with Image.open(buffer) as image:
        image.save(tmp_path / "b.png")
    assert read_statement(tmp_path / "b.png") is None


MARK = """
import resource, sys
from pathlib import Path
from jaxgan.media.provenance.origin import Origin, mark_file
origin, peak = Origin("created", "a walk", "a run"), lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
mark_file(Path(sys.argv[1]), ".mp4", origin, title="small")
before = peak()
print(mark_file(Path(sys.argv[2]), ".mp4", origin, title="large"), peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("signed", ["signed"], indirect=True)
def test_a_long_film_is_signed_in_little_memory(tmp_path, signed):
    small, large = tmp_path / "small.mp4", tmp_path / "large.mp4"
    film(small, "mp4")
    content, more = small.read_bytes(), 200 * 2**20
    start, end = content.index(b"mdat") - 4, content.index(b"moov") - 4
    with open(large, "wb") as file:  # the bytes after the samples are unused
        file.write(content[:start] + struct.pack(">I", end - start + more) + content[start + 4 : end])
        file.seek(more, 1)
        file.write(content[end:])
    told = subprocess.run([sys.executable, "-c", MARK, small, large], check=True, capture_output=True, text=True)
    assert told.stdout.startswith("() ")
    assert int(told.stdout.split()[1]) < 64  # MB
    agreed(large, signed)
