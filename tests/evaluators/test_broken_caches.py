"""Broken cache files of statistics and classifiers are rebuilt and never raise a traceback."""

import hashlib
import json
import struct
import zipfile

import numpy as np
import pytest
from fuzzing import read_mutants

from jaxgan.errors import UserError
from jaxgan.evaluators import reference_cache
from jaxgan.evaluators.classifier_cache import load_classifier, save_classifier


def npy(header):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8)


HEADERS = {
    "cut": b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), \n",
    "text": b"'" * 60,
    "deep": b"(" * 500,
    "python 2": b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L,)\n",
}


def archive(path, header):
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.npy", npy(header))


@pytest.mark.parametrize("fault", HEADERS)
def test_a_broken_cached_array_is_rebuilt(fault, tmp_path):
    archive(tmp_path / "reference.npz", HEADERS[fault])
    assert reference_cache._load(str(tmp_path / "reference.npz"), "") is None
    save_classifier(str(tmp_path), "f" * 8, {"w": np.zeros(3)}, accuracy=0.5, description={})
    assert load_classifier(str(tmp_path), "f" * 8).accuracy == 0.5
    (weights,) = (path for path in tmp_path.glob("**/*.npz") if path.name != "reference.npz")
    (record,) = tmp_path.glob("**/*.json")
    archive(weights, HEADERS[fault])
    said = json.loads(record.read_text()) | {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    record.write_text(json.dumps(said))
    assert load_classifier(str(tmp_path), "f" * 8) is None


def test_a_record_that_is_nested_deeply_is_trained_again(tmp_path):
    save_classifier(str(tmp_path), "f" * 8, {"w": np.zeros(3)}, accuracy=0.5, description={})
    (record,) = tmp_path.glob("**/*.json")
    record.write_text("[" * 100_000)
    assert load_classifier(str(tmp_path), "f" * 8) is None


@pytest.mark.slow
def test_mutants_of_a_cache_are_read_or_rebuilt(tmp_path):
    np.savez(tmp_path / "good.npz", mean=np.arange(24.0), count=np.array(3))
    np.savez_compressed(tmp_path / "packed.npz", mean=np.arange(24.0), count=np.array(3))

    def read(path):
        if reference_cache._load(str(path), "") is None:
            raise UserError("rebuilt")

    originals = [(tmp_path / name).read_bytes() for name in ("good.npz", "packed.npz")]
    read_mutants(read, originals, tmp_path / "mutant.npz")
