"""Writes the tfds data set in `stored_video.tar.xz`, with real TensorFlow:

    python tests/data/stored_video.py DIR  # TensorFlow 2.21, tensorflow-datasets 4.9.10
    tar --sort=name --owner=0 --group=0 --mtime=2026-01-01 -C DIR -cJf tests/data/stored_video.tar.xz stored_video

The tests read what is stored, and take only `clip` from here.
"""

import sys

import numpy as np

FRAMES = {"train": (5, 3, 7, 6), "test": (4,)}  # of each clip
CLASSES = ("up", "down", "still")


def clip(split: str, number: int) -> np.ndarray:
    """The pixels of a clip, uint8 `[T,12,16,3]`."""
    seed = np.random.default_rng((len(split), number))
    return seed.integers(0, 256, (FRAMES[split][number], 12, 16, 3), dtype=np.uint8)


def write(folder: str) -> None:
    """Prepares the data set in a folder."""
    import tensorflow_datasets as tfds

    class StoredVideo(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "label": tfds.features.ClassLabel(names=CLASSES),
                "video": tfds.features.Video(shape=(None, 12, 16, 3)),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in FRAMES}

        def _generate_examples(self, split):
            for number in range(len(FRAMES[split])):
                yield number, {"video": clip(split, number), "label": number % len(CLASSES)}

    builder = StoredVideo(data_dir=folder, file_format="array_record")
    builder.download_and_prepare(file_format="array_record")


if __name__ == "__main__":
    write(sys.argv[1])
