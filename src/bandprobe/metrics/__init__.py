"""What is measured: detection metrics with their intervals, and spectra of images."""

from bandprobe.metrics import bootstrap
from bandprobe.metrics.bootstrap import Interval
from bandprobe.metrics.detection import (
    METRICS,
    PD_RATES,
    Roc,
    auroc,
    average_precision,
    blank_reason,
    ece,
    equal_error_rate,
    evaluate,
    probability_of_detection,
    reals_needed,
    roc_curve,
)
from bandprobe.metrics.grey import luma, median3, residual, to_grey
from bandprobe.metrics.intervals import (
    DeLong,
    PairedDeLong,
    delong,
    delong_covariance,
    delong_paired,
    wilson,
)
from bandprobe.metrics.permutation import PDDifference, pd_difference
from bandprobe.metrics.radial import RadialDensity, radial_power, ring_frequencies, spectral_slope
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Resamples, draw_counts
from bandprobe.metrics.spectra import Spectrum

__all__ = [
    "METRICS",
    "PD_RATES",
    "DeLong",
    "Interval",
    "PDDifference",
    "PairedDeLong",
    "RadialDensity",
    "Resamples",
    "Roc",
    "Spectrum",
    "auroc",
    "average_precision",
    "blank_reason",
    "bootstrap",
    "delong",
    "delong_covariance",
    "delong_paired",
    "draw_counts",
    "ece",
    "equal_error_rate",
    "evaluate",
    "luma",
    "median3",
    "pd_difference",
    "probability_of_detection",
    "radial_power",
    "reals_needed",
    "replicates",
    "residual",
    "ring_frequencies",
    "roc_curve",
    "spectral_slope",
    "to_grey",
    "wilson",
]
