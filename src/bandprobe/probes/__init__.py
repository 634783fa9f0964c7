"""Linear probes on frozen embeddings: training sets, fitting, calibration and files."""

from bandprobe.probes.calibration import best_threshold, platt, probability
from bandprobe.probes.files import ProbeFile, file_name, load, load_folder, save
from bandprobe.probes.linear import Examples, LinearProbe, fit
from bandprobe.probes.sets import balanced_weights, training_sets
from bandprobe.probes.training import train

__all__ = [
    "Examples", "LinearProbe", "ProbeFile", "balanced_weights", "best_threshold", "file_name", "fit", "load",
    "load_folder", "platt", "probability", "save", "train", "training_sets",
]  # fmt: skip
