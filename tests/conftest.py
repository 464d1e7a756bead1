"""Tests leave nothing in the user's home, compile quickly, and compile a program once for all workers and runs.

Data sets and caches go to a folder that ends with the tests; all workers share it, so that digits are prepared, and
the classifier of a score is trained, once. Compiled programs stay in `.pytest_cache` (`pytest --cache-clear` removes
them). Keeping those is safe: jax's key of a program holds its code, the compiler's options, the release of jaxlib and
the instructions of the processor, so that a program made by another release or for another processor is never loaded.
Workers may write at the same time: a file that is not whole does not unpack, and its program is compiled instead.
"""

import atexit
import importlib.metadata
import os
import pathlib
import shutil
import signal
import tempfile

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup what ignores a signal stays deaf to it, and so do
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the processes that tests start

SCRATCH = os.environ.get("JAXGAN_TESTS")  # in a worker, the folder of the process that started it
if SCRATCH is None:
    SCRATCH = os.environ["JAXGAN_TESTS"] = tempfile.mkdtemp(prefix="jaxgan-tests-")
    atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
# before anything of jaxgan or tfds is imported, which read these once
os.environ["XDG_CACHE_HOME"] = os.path.join(SCRATCH, "cache")
os.environ["XDG_CONFIG_HOME"] = os.path.join(SCRATCH, "config")  # the key of credentials
os.environ["TFDS_DATA_DIR"] = os.path.join(SCRATCH, "tensorflow_datasets")
# most of a test's time would be the compiler's, for code that runs for milliseconds; what tests start inherits this
QUICK_COMPILES = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
if importlib.metadata.version("jaxlib").startswith("0.10."):  # later ones end at a flag they do not know
    QUICK_COMPILES.append("--xla_cpu_use_fusion_emitters=false")  # older emitters of loops, quicker to compile
given = os.environ.get("XLA_FLAGS", "").split()  # in a worker with those of its starter: twice would be another key
os.environ["XLA_FLAGS"] = " ".join([*given, *(flag for flag in QUICK_COMPILES if flag not in given)])
PROGRAMS = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "d" / "programs"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(PROGRAMS))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_collection_modifyitems(items):
    """Slow tests first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
