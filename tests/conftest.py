"""Tests leave nothing in the user's home: data sets and caches go to a folder that ends with them."""

import atexit
import os
import shutil
import tempfile

SCRATCH = tempfile.mkdtemp(prefix="jaxgan-tests-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
# before anything of jaxgan or tfds is imported, which read these once
os.environ["XDG_CACHE_HOME"] = os.path.join(SCRATCH, "cache")
os.environ["TFDS_DATA_DIR"] = os.path.join(SCRATCH, "tensorflow_datasets")
