"""Probes on frozen embeddings: training sets, heads, losses, fitting, calibration and files."""

from bandprobe.probes.calibration import best_threshold, platt, probability
from bandprobe.probes.external import finished
from bandprobe.probes.files import EXTERNAL, ProbeFile, file_name, load, load_folder, save
from bandprobe.probes.linear import LinearProbe, fit
from bandprobe.probes.sets import balanced_weights, training_sets, validated_on
from bandprobe.probes.training import Relabel, train
from bandprobe.probes.validation import Examples

__all__ = [
    "EXTERNAL",
    "Examples",
    "LinearProbe",
    "ProbeFile",
    "Relabel",
    "balanced_weights",
    "best_threshold",
    "file_name",
    "finished",
    "fit",
    "load",
    "load_folder",
    "platt",
    "probability",
    "save",
    "train",
    "training_sets",
    "validated_on",
]
