"""XLA flags that make GPUs and TPUs faster, added to the environment before jax starts.

A flag that a library does not know ends the process, and flags come and go between releases. So they are set only with
releases of jaxlib for which they were checked, and only if every library that reads them contains their names. Flags
that the environment sets already are never changed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import mmap
import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

Platform = Literal["cpu", "gpu", "tpu"]

JAXLIB = ((0, 10), (0, 13))  # from the first release on, before the second
VARIABLES: Mapping[Platform, str] = {"gpu": "XLA_FLAGS", "tpu": "LIBTPU_INIT_ARGS"}

# set in NVIDIA's own jax containers: gradients are reduced between GPUs while others are still computed
# (docs.nvidia.com/jax-toolbox/environment-variables, docs.jax.dev/en/latest/gpu_performance_tips.html)
GPU = {"xla_gpu_enable_latency_hiding_scheduler": "true"}

# the same on TPUs: XLA's advice for all-reduces (openxla.org/xla/flags_guidance) and MaxText's set for
# them, CF_FOR_ALL_REDUCE (github.com/AI-Hypercomputer/maxtext, benchmarks/xla_flags_library.py)
TPU = {
    "xla_tpu_enable_async_collective_fusion": "true",
    "xla_tpu_enable_async_collective_fusion_fuse_all_reduce": "true",
    "xla_tpu_enable_async_collective_fusion_multiple_steps": "true",
    "xla_tpu_overlap_compute_collective_tc": "true",
    "xla_enable_async_all_reduce": "true",
}
# and for gradients between slices, over the data centre's network: DATA_PARALLEL_OVERLAP in the same file
SLICES = {
    "xla_tpu_enable_data_parallel_all_reduce_opt": "true",
    "xla_tpu_data_parallel_opt_different_sized_ops": "true",
}

# the index of the process in Slurm and Open MPI, of the host in its TPU slice, of the slice among several
NUMBERED = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "TPU_WORKER_ID", "MEGASCALE_SLICE_ID")
GOOGLE = "0x1ae0"  # PCI vendor, also of Google's network cards
TPU_CHIPS = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}  # PCI devices
OF_ANY_HOST = ("TPU_LIBRARY_PATH", "TPU_SKIP_MDS_QUERY")  # variables that libtpu and jax also set without a TPU
NVIDIA_DEVICES = ("nvidia0", "nvidiactl", "dxg")  # the last one under WSL


def set_compiler_flags(
    environ: MutableMapping[str, str] = os.environ, *, platform: Platform | None = None, root: Path = Path("/")
) -> str:
    """Adds the flags for a platform (None: the one found) to the environment. Returns a line on what was added, or "".

    Call it before jax starts. `root`: the folder with `dev` and `sys`.
    """
    platform = find_platform(environ, root) if platform is None else platform
    if platform == "cpu" or not JAXLIB[0] <= _release("jaxlib") < JAXLIB[1]:
        return ""
    added = new_flags(platform, environ, list(libraries(platform, environ)))
    if not added:
        return ""
    variable = VARIABLES[platform]
    environ[variable] = " ".join([environ.get(variable, ""), *added]).strip()
    return f"{variable}: {' '.join(added)} added (not with --config.parallel.compiler_flags=false)"


def leave_out_tpu(environ: MutableMapping[str, str] = os.environ, *, root: Path = Path("/")) -> None:
    """Keeps jax from starting libtpu, and from its warnings, if that is installed (as a compiler) without a TPU.

    Call it before jax starts. Nothing is changed if there is any sign of a TPU, if jax has another plugin, or if
    JAX_PLATFORMS is set.
    """
    if environ.get("JAX_PLATFORMS") or not any(libraries("tpu", environ)):
        return
    named = [name for name in environ if name.startswith("TPU_") and name not in OF_ANY_HOST]
    devices = [*(root / "dev").glob("accel*"), *(root / "dev/vfio").glob("[0-9]*"), *_tpu_chips(root)]
    others = [*_folders("jax_plugins"), *importlib.metadata.entry_points(group="jax_plugins")]
    if not (named or devices or others or "JAX_FORCE_TPU_INIT" in environ):
        environ["JAX_PLATFORMS"] = "cpu"


def first_of_several(process_id: str | None, environ: Mapping[str, str]) -> bool:
    """Whether this is process 0 or the only one, as far as is known before jax starts; only it prints common messages.

    `process_id`: the flag of the command line. Slurm, Open MPI and GKE number their processes in the environment.
    """
    if process_id is not None:
        return process_id == "0"
    return all(environ.get(name, "0") == "0" for name in NUMBERED)


def find_platform(environ: Mapping[str, str], root: Path = Path("/")) -> Platform:
    """The platform that jax will use, as far as is known without it: from JAX_PLATFORMS, else from the devices."""
    asked = environ.get("JAX_PLATFORMS", "").split(",")[0].lower()
    if asked:
        return "tpu" if asked == "tpu" else "gpu" if asked in ("cuda", "gpu") else "cpu"
    if any(libraries("tpu", environ)) and any(_tpu_chips(root)):
        return "tpu"
    if any(_plugins()) and any((root / "dev" / name).exists() for name in NVIDIA_DEVICES):
        return "gpu"
    return "cpu"


def new_flags(platform: Platform, environ: Mapping[str, str], libraries: Sequence[Path]) -> list[str]:
    """The flags, `--name=value`, that all of the libraries know and that the environment does not set."""
    wanted = dict(GPU) if platform == "gpu" else dict(TPU)
    if platform == "tpu" and environ.get("MEGASCALE_NUM_SLICES", "1") != "1":
        wanted |= SLICES
    present = environ.get(VARIABLES[platform], "").split()
    if present and not present[0].startswith("-"):  # XLA takes such a value for the name of a file with flags
        return []
    named = {
        flag.lstrip("-").split("=")[0] for variable in VARIABLES.values() for flag in environ.get(variable, "").split()
    }
    names = [name for name in wanted if name not in named]
    known = [_names_in(library, names) for library in libraries]
    return [f"--{name}={wanted[name]}" for name in names if known and all(name in each for each in known)]


def libraries(platform: Platform, environ: Mapping[str, str]) -> Iterator[Path]:
    """The libraries that read the flags of a platform, found without importing them."""
    if platform == "tpu":
        given = environ.get("TPU_LIBRARY_PATH")
        candidates = [Path(given)] if given else [folder / "libtpu.so" for folder in _folders("libtpu")]
        yield from (path for path in candidates if path.is_file())
        return
    yield from (path for folder in _folders("jaxlib") for path in folder.glob("libjax_common.so"))
    yield from _plugins()


def _plugins() -> Iterator[Path]:
    """Jax's CUDA plugin."""
    yield from (path for folder in _folders("jax_plugins") for path in folder.glob("xla_cuda*/xla_cuda_plugin.so"))


def _folders(package: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    return [] if found is None else [Path(folder) for folder in found.submodule_search_locations or ()]


def _tpu_chips(root: Path) -> Iterator[Path]:
    for vendor in (root / "sys/bus/pci/devices").glob("*/vendor"):
        device = vendor.with_name("device")
        if vendor.read_text().strip() == GOOGLE and device.read_text().strip() in TPU_CHIPS:
            yield vendor.parent


def _names_in(library: Path, names: Sequence[str]) -> set[str]:
    """The names that a file contains as whole C strings."""
    with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return {name for name in names if content.find(b"\0" + name.encode() + b"\0") >= 0}


def _release(package: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version(package).split(".")[:2])
