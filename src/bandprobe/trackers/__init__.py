"""Experiment trackers: what a study found, logged to TensorBoard, MLflow or Weights & Biases."""

from bandprobe.trackers.tracker import NAMES, Tracker, require
from bandprobe.trackers.tracking import Tracking, log_finished, tracked

__all__ = ["NAMES", "Tracker", "Tracking", "log_finished", "require", "tracked"]
