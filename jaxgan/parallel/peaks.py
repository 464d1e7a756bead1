"""The published peaks of devices: what utilisation is measured against."""

from __future__ import annotations

import re
from typing import NamedTuple


class Peak(NamedTuple):
    """The matrix rate of one jax device."""

    kind: str  # a regular expression that the device's kind must contain
    teraflops: float  # of 16-bit inputs, sums in 32 bits, without sparsity
    source: str


NVIDIA, CLOUD = "NVIDIA's data sheet of the ", "Google Cloud's page of the "
PEAKS = (  # the first that fits; NVIDIA's sheets often give twice the number, with sparsity
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
    """Floating-point operations a second of one device of a kind (`jax.Device.device_kind`); None if not known.

    CPUs are not: a product large enough to measure theirs would compete with the run, and its rate on a
    shared machine is not the same twice.
    """
    found = next((peak for peak in PEAKS if re.search(peak.kind, device_kind)), None)
    return None if found is None else found.teraflops * 1e12
