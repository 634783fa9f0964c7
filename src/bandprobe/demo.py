"""The whole study on the images and encoders that ship with the package, offline."""

from __future__ import annotations

from pathlib import Path

from bandprobe.files import output_folder
from bandprobe.run import Run
from bandprobe.study import Study

CAVEAT = (
    "A small world: procedural photographs of 64 px, and generators and encoders of about a million "
    "parameters that were trained on such photographs. It can tell how this method works, and what differs "
    "between two training objectives when nothing else does. It cannot tell what DINOv2 or CLIP rely on in "
    "photographs of the real world, nor decide what needs more images: PD@1% needs 1,000 real test images, "
    "and one training run of an objective is one draw. zoo/README.md says how each model was made."
)
# The cut-offs of the curve, up to the corner of the spectrum at 45 px; 0.15 and 0.5 of Nyquist are those that
# the claims speak of.
_CURVE = ["lowpass:1px", "lowpass:2px", "lowpass:3px", "lowpass:0.15nyq", "lowpass:7px", "lowpass:10px",
          "lowpass:13px", "lowpass:0.5nyq", "lowpass:21px", "lowpass:32px", "lowpass:45px"]  # fmt: skip
# The other conditions of the claims: what is above the low band, the middle alone and all but the middle, and
# bands that take about as much energy elsewhere.
_BANDS = ["highpass:0.15nyq", "bandpass:0.325nyq:width=0.35nyq", "bandstop:0.325nyq:width=0.35nyq",
          "bandstop:0.75nyq:width=0.5nyq", "bandstop:0.12nyq:width=0.06nyq"]  # fmt: skip
TEST = ["none", "identity", *_CURVE, *_BANDS]
TRAIN = [
    "none",
    "identity",
    "lowpass:0.15nyq",
    "lowpass:0.5nyq",
    "highpass:0.15nyq",
    "bandpass:0.325nyq:width=0.35nyq",
]
ENCODERS = ["spectral", "micro-dino", "micro-clip"]


def run(out: str | Path) -> Run:
    """Run the demonstration.

    Args:
        out: the run's folder.

    Returns:
        The run.

    Raises:
        DiskError: a file of the package is missing or damaged.
    """
    from bandprobe.datasets import micro

    folder = output_folder(out)
    images = micro()
    return Study.from_dict(
        {
            "data": {"root": str(images.root)},
            "families": images.families,
            "encoders": {"names": ENCODERS, "geometry": "squash:64"},
            "filters": {"test": TEST},
            "probes": {"seeds": 1},
            "analysis": {"information": TRAIN, "samples": 40, "twin": False, "pd": "10%"},
            "run": {"batch_size": 64},
        },
        "demo",
        (CAVEAT,),
    ).run(folder)
