"""Tests leave nothing in the user's home, and compile quickly.

Data sets and caches go to a folder that ends with the tests.
"""

import atexit
import importlib.metadata
import os
import shutil
import tempfile

SCRATCH = tempfile.mkdtemp(prefix="jaxgan-tests-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
# before anything of jaxgan or tfds is imported, which read these once
os.environ["XDG_CACHE_HOME"] = os.path.join(SCRATCH, "cache")
os.environ["TFDS_DATA_DIR"] = os.path.join(SCRATCH, "tensorflow_datasets")
# most of a test's time would be the compiler's, for code that runs for milliseconds; what tests start inherits this
QUICK_COMPILES = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
if importlib.metadata.version("jaxlib").startswith("0.10."):  # later ones end at a flag they do not know
    QUICK_COMPILES.append("--xla_cpu_use_fusion_emitters=false")  # older emitters of loops, quicker to compile
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *QUICK_COMPILES]).strip()
