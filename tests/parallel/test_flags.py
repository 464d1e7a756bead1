"""Compiler flags: on which platforms they are set, and that the libraries know them."""

import os
import subprocess
import sys

import pytest

from jaxgan.main import main
from jaxgan.parallel import flags
from jaxgan.parallel.flags import (
    GPU,
    SLICES,
    TPU,
    find_platform,
    leave_out_tpu,
    libraries,
    new_flags,
    set_compiler_flags,
)

SCHEDULER = "xla_gpu_enable_latency_hiding_scheduler"


def library(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\0" + b"".join(name.encode() + b"\0" for name in names))
    return path


@pytest.fixture
def tpu(tmp_path):
    return {"TPU_LIBRARY_PATH": str(library(tmp_path / "libtpu.so", [*TPU, *SLICES]))}


def machine(folder, *, device=None, chip=None, vendor="0x1ae0"):
    (folder / "dev").mkdir(parents=True)
    (folder / "sys/bus/pci/devices/0").mkdir(parents=True)
    if device is not None:
        (folder / "dev" / device).touch()
    if chip is not None:
        (folder / "sys/bus/pci/devices/0/vendor").write_text(vendor + "\n")
        (folder / "sys/bus/pci/devices/0/device").write_text(chip + "\n")
    return folder


@pytest.mark.quick
def test_the_platform_is_taken_from_the_environment():
    asked = {"cpu": "cpu", "cuda,cpu": "gpu", "gpu": "gpu", "tpu,cpu": "tpu", "rocm": "cpu", "METAL": "cpu"}
    assert {text: find_platform({"JAX_PLATFORMS": text}) for text in asked} == asked


@pytest.mark.quick
def test_the_platform_is_found_from_the_devices(tmp_path, tpu, monkeypatch):
    assert find_platform(tpu, machine(tmp_path / "tpu", chip="0x0063")) == "tpu"
    assert find_platform({}, tmp_path / "tpu") == "cpu", "no libtpu"
    assert find_platform(tpu, machine(tmp_path / "network", chip="0x0042")) == "cpu", "Google's network card"
    assert find_platform(tpu, machine(tmp_path / "other", chip="0x0063", vendor="0x10de")) == "cpu"
    nvidia = machine(tmp_path / "nvidia", device="nvidia0")
    assert find_platform({}, nvidia) == "cpu", "no CUDA plugin"
    plugin = library(tmp_path / "jax_plugins/xla_cuda13/xla_cuda_plugin.so", GPU)
    monkeypatch.setattr(flags, "_folders", lambda package: [tmp_path / package])
    assert find_platform({}, nvidia) == "gpu"
    assert find_platform({}, machine(tmp_path / "plain")) == "cpu"
    library(tmp_path / "jaxlib/libjax_common.so", GPU)
    assert list(libraries("gpu", {}))[-1] == plugin
    assert len(list(libraries("gpu", {}))) == 2


@pytest.mark.quick
def test_only_flags_that_every_library_knows_are_added(tmp_path):
    knows = library(tmp_path / "a.so", GPU)
    assert new_flags("gpu", {}, [knows]) == [f"--{SCHEDULER}=true"]
    for name in ("other", f"{SCHEDULER}_more", f"more_{SCHEDULER}"):
        assert new_flags("gpu", {}, [knows, library(tmp_path / "b.so", [name])]) == []
    assert new_flags("gpu", {}, []) == []


@pytest.mark.quick
def test_flags_of_the_user_are_not_changed(tmp_path):
    knows = [library(tmp_path / "a.so", [*GPU, *TPU, *SLICES])]
    said = "xla_tpu_enable_async_collective_fusion"
    assert new_flags("gpu", {"XLA_FLAGS": f"--xla_dump_to=x --{SCHEDULER}=false"}, knows) == []
    assert new_flags("gpu", {"XLA_FLAGS": "flags.txt"}, knows) == [], "a file of flags"
    both = new_flags("tpu", {"LIBTPU_INIT_ARGS": f"--{said}=false"}, knows)
    assert len(both) == len(TPU) - 1
    assert not any(flag.startswith(f"--{said}=") for flag in both)


@pytest.mark.quick
def test_flags_are_added_to_the_environment_once(tpu):
    environ = {**tpu, "LIBTPU_INIT_ARGS": "--xla_tpu_scoped_vmem_limit_kib=65536"}
    reported = set_compiler_flags(environ, platform="tpu")
    assert environ["LIBTPU_INIT_ARGS"].split() == [
        "--xla_tpu_scoped_vmem_limit_kib=65536",
        *(f"--{name}={value}" for name, value in TPU.items()),
    ]
    assert reported.startswith("LIBTPU_INIT_ARGS: --xla_tpu_enable_async")
    assert "--config.parallel.compiler_flags=false" in reported
    before = dict(environ)
    assert set_compiler_flags(environ, platform="tpu") == ""
    assert environ == before
    several = {**tpu, "MEGASCALE_NUM_SLICES": "2"}
    set_compiler_flags(several, platform="tpu")
    assert set(SLICES) < {flag[2:].split("=")[0] for flag in several["LIBTPU_INIT_ARGS"].split()}


@pytest.mark.quick
def test_no_flags_for_cpus_and_for_unchecked_releases(tpu, monkeypatch):
    environ = dict(tpu)
    assert set_compiler_flags(environ, platform="cpu") == ""
    monkeypatch.setattr(flags, "version", lambda package: "0.13.0")
    assert set_compiler_flags(environ, platform="tpu") == ""
    assert environ == tpu


@pytest.mark.slow
def test_the_installed_jaxlib_knows_and_accepts_the_flags():
    jaxlib = [path for path in libraries("gpu", {}) if path.name == "libjax_common.so"]
    assert len(jaxlib) == 1
    added = new_flags("gpu", {}, jaxlib)
    assert added == [f"--{name}={value}" for name, value in GPU.items()]
    for text, works in ((" ".join(added), True), ("--xla_gpu_no_such_flag=true", False)):
        environ = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": text}
        started = subprocess.run(
            [sys.executable, "-c", "import jax; jax.numpy.zeros(1)"], env=environ, capture_output=True, timeout=120
        )
        assert (started.returncode == 0) == works, started.stderr


@pytest.mark.quick
@pytest.mark.parametrize(
    ("environ", "given", "reported"),
    [
        ({}, [], True),
        ({"SLURM_PROCID": "0"}, [], True),
        ({"SLURM_PROCID": "3"}, [], False),
        ({"TPU_WORKER_ID": "0", "MEGASCALE_SLICE_ID": "1"}, [], False),
        ({"SLURM_PROCID": "3"}, ["--process_id=0"], True),
        ({}, ["--process_id=1"], False),
    ],
)
def test_only_the_first_of_several_processes_reports_the_added_flags(environ, given, reported, monkeypatch, capsys):
    for name in flags.NUMBERED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(flags, "set_compiler_flags", lambda: "XLA_FLAGS: --x=true added")
    call = ["--config=configs/vanilla_gan.py", "--workdir=w", "--config.networks.generator.nothing=1", *given]
    assert main(call) == 2  # an error that is found after the flags are set
    assert ("XLA_FLAGS: --x=true added" in capsys.readouterr().err) == reported


@pytest.mark.parametrize(
    ("environ", "files", "asked"),
    [
        ({}, [], "cpu"),
        ({"TPU_SKIP_MDS_QUERY": "1"}, ["dev/vfio/vfio"], "cpu"),  # of any host
        ({"JAX_PLATFORMS": "tpu,cpu"}, [], "tpu,cpu"),
        ({"TPU_WORKER_ID": "0"}, [], None),
        ({"JAX_FORCE_TPU_INIT": "1"}, [], None),
        ({}, ["dev/accel0"], None),
        ({}, ["dev/vfio/0"], None),
    ],
)
def test_libtpu_is_not_started_without_a_tpu(environ, files, asked, tmp_path, tpu):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environ = {**tpu, **environ}
    leave_out_tpu(environ, root=tmp_path)
    assert environ.get("JAX_PLATFORMS") == asked


def test_nothing_changes_with_a_sign_of_another_backend(tmp_path, tpu, monkeypatch):
    monkeypatch.setattr(flags, "_folders", lambda package: [])
    chip, none = machine(tmp_path / "chip", chip="0x0063"), tmp_path / "none"
    for given, root in ((tpu, chip), ({}, none)):  # a chip; no library
        leave_out_tpu(environ := dict(given), root=root)
        assert environ == given
    monkeypatch.setattr(flags.importlib.metadata, "entry_points", lambda group: [group])  # another plugin
    leave_out_tpu(environ := dict(tpu), root=none)
    assert environ == tpu
