"""Accelerators by name, with what their makers say they reach."""

from __future__ import annotations

from dataclasses import dataclass

from bandprobe.errors import InputError, did_you_mean

# What arithmetic is done in. PyTorch keeps fp32 products off the tensor cores unless it is told otherwise, so fp32 and
# tf32 are two things.
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")


@dataclass(frozen=True)
class Device:
    """One accelerator.

    Attributes:
        name: as it is asked for.
        title: as its maker calls it.
        tflops: dense peaks by precision, 10^12 operations a second, without sparsity; fp32 on its plain units. A
            precision it does not have is missing.
        bandwidth: of its memory, 10^9 bytes a second; None where it is not known.
        source: where the numbers stand.
    """

    name: str
    title: str
    tflops: dict[str, float]
    bandwidth: float | None
    source: str

    def peak(self, precision: str) -> float | None:
        """The dense peak at a precision, 10^12 operations a second; None where there is none."""
        return self.tflops.get(precision)


def _device(name: str, title: str, *numbers: float | None, bandwidth: float, source: str) -> Device:
    """Peaks in the order of `PRECISIONS`."""
    peaks = {one: peak for one, peak in zip(PRECISIONS, numbers, strict=True) if peak is not None}
    return Device(name, title, peaks, bandwidth, source)


# Where a data sheet gives tensor peaks with sparsity, half of them stands here.
DEVICES = {
    device.name: device
    for device in (
        _device("t4", "NVIDIA T4", 8.1, None, None, 65, bandwidth=320, source="NVIDIA T4 data sheet"),
        _device("v100", "NVIDIA V100 SXM2", 15.7, None, None, 125, bandwidth=900,
                source="NVIDIA V100 data sheet"),
        _device("a10", "NVIDIA A10", 31.2, 62.5, 125, 125, bandwidth=600, source="NVIDIA A10 data sheet"),
        _device("a100", "NVIDIA A100 SXM 80 GB", 19.5, 156, 312, 312, bandwidth=2039,
                source="NVIDIA A100 data sheet"),
        _device("l4", "NVIDIA L4", 30.3, 60, 121, 121, bandwidth=300, source="NVIDIA L4 data sheet"),
        _device("l40s", "NVIDIA L40S", 91.6, 183, 362, 362, bandwidth=864, source="NVIDIA L40S data sheet"),
        _device("h100", "NVIDIA H100 SXM", 67, 494.5, 989.5, 989.5, bandwidth=3350,
                source="NVIDIA H100 data sheet"),
        _device("h200", "NVIDIA H200 SXM", 67, 494.5, 989.5, 989.5, bandwidth=4800,
                source="NVIDIA H200 data sheet"),
        _device("rtx4090", "NVIDIA GeForce RTX 4090", 82.6, 82.6, 165.2, 165.2, bandwidth=1008,
                source="NVIDIA Ada GPU architecture white paper"),
    )
}  # fmt: skip


def device(name: str) -> Device:
    """The accelerator of that name, upper or lower case.

    Raises:
        InputError: it is not in the table; its throughput can be given as a number instead.
    """
    known = DEVICES.get(name.lower())
    if known is None:
        raise InputError(
            f"--gpu {name!r} is unknown.{did_you_mean(name.lower(), DEVICES)} Known: {', '.join(DEVICES)}. For another "
            "one give its dense peak: --tflops N."
        )
    return known


def of_throughput(tflops: float) -> Device:
    """An accelerator of which only a dense peak is known, at whatever precision it was given for."""
    return Device(
        "gpu", f"a GPU of {tflops:g} TFLOP/s", dict.fromkeys(PRECISIONS, tflops), None, "given: --tflops"
    )
