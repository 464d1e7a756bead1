"""Pictures to verify, and what `--mode=verify` says of them."""

import numpy as np
import pytest
from PIL import Image

from jaxgan.main import main
from jaxgan.media.provenance.embedding import embed_xmp
from jaxgan.media.provenance.origin import Origin, mark_file, packet_of

CREATED = Origin("created", "samples of a generator", "a run", step=12)
NOTHING_PROVEN = "If nothing is found, nothing is proven"


def plain(path):
    """A picture that says nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return path


def described(path, origin=CREATED):
    """A picture with XMP alone."""
    assert embed_xmp(plain(path), packet_of(origin))
    return path


def signed(path, origin=CREATED):
    """A picture with XMP and a credential."""
    pytest.importorskip("c2pa")
    mark_file(plain(path), path.suffix, origin, title=path.name)
    return path


def changed(path):
    """A signed picture with another byte among its pixels."""
    content = bytearray(signed(path).read_bytes())
    content[content.rindex(b"IDAT") + 50] ^= 1
    path.write_bytes(content)
    return path


def verify(capsys, *arguments):
    """Exit status, what was printed, and the mistake."""
    status = main(["--mode=verify", *map(str, arguments)])
    told = capsys.readouterr()
    return status, told.out, told.err


def about(printed, path):
    """The lines about one file, without its name."""
    lines = printed.splitlines()
    start = lines.index(str(path)) + 1
    end = next((at for at in range(start, len(lines)) if not lines[at].startswith("  ")), len(lines))
    return [line.strip() for line in lines[start:end]]
