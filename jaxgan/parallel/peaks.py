"""The published peak FLOP/s of devices, the reference of utilisation."""

from __future__ import annotations

import re
from typing import NamedTuple


class Peak(NamedTuple):
    """The matrix rate of one jax device."""

    kind: str  # a regular expression, searched in the device's kind
    teraflops: float  # TFLOP/s with 16-bit inputs and 32-bit sums, without sparsity
    source: str


NVIDIA, CLOUD = "NVIDIA's data sheet of the ", "Google Cloud's page of the "
PEAKS = (  # the first match counts; NVIDIA's sheets often give twice the number, with sparsity
    Peak(r"\bGB200\b", 2500, NVIDIA + "GB200 NVL72"),
    Peak(r"\bB200\b", 2250, NVIDIA + "HGX B200"),
    Peak(r"\bG?H200\b.*\bNVL\b", 835.5, NVIDIA + "H200 NVL"),
    Peak(r"\bG?H200\b", 989.5, NVIDIA + "H200 and GH200"),
    Peak(r"\bH100\b.*\bNVL\b", 835.5, NVIDIA + "H100 NVL"),
    Peak(r"\bH100\b.*\bPCIe\b", 756.5, NVIDIA + "H100 PCIe"),
    Peak(r"\bH100\b", 989.5, NVIDIA + "H100 SXM"),
    Peak(r"\bA100\b", 312, NVIDIA + "A100"),
    Peak(r"\bA10\b", 125, NVIDIA + "A10"),
    Peak(r"\bL40S\b", 362, NVIDIA + "L40S"),
    Peak(r"\bL4\b", 121, NVIDIA + "L4"),
    Peak(r"\bV100\b.*\bPCI[Ee]\b", 112, NVIDIA + "V100"),
    Peak(r"\bV100\b", 125, NVIDIA + "V100"),
    Peak(r"\bT4\b", 65, NVIDIA + "T4"),
    Peak(r"\bRTX 4090\b", 165.2, "NVIDIA's white paper of the Ada architecture, appendix A"),
    Peak(r"\bRTX 3090\b", 71, "NVIDIA's white paper of the GA102 architecture, appendix A"),
    # the chips of v2, v3 and TPU7x are two devices of jax each
    Peak(r"^TPU7x", 2307 / 2, CLOUD + "TPU7x"),
    Peak(r"^TPU v6", 918, CLOUD + "TPU v6e"),
    Peak(r"^TPU v5 lite|^TPU v5e", 197, CLOUD + "TPU v5e"),
    Peak(r"^TPU v5", 459, CLOUD + "TPU v5p"),
    Peak(r"^TPU v4$", 275, CLOUD + "TPU v4"),
    Peak(r"^TPU v3", 123 / 2, CLOUD + "TPU v3"),
    Peak(r"^TPU v2", 45 / 2, CLOUD + "TPU v2"),
)


def peak_flops(device_kind: str) -> float | None:
    """The peak FLOP/s of one device of a kind (`jax.Device.device_kind`); None if not known.

    It is not known for CPUs: a matrix product large enough to measure it would compete with the run, and on a shared
    machine the result would vary.
    """
    found = next((peak for peak in PEAKS if re.search(peak.kind, device_kind)), None)
    return None if found is None else found.teraflops * 1e12
