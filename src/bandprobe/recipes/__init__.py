"""Recipes for better detectors: stored embeddings and a training set in, one linear probe out."""

from bandprobe.recipes.catalogue import RECIPES, DetectorRecipe, named
from bandprobe.recipes.compound import stands_alone
from bandprobe.recipes.made import Made
from bandprobe.recipes.training import train
from bandprobe.recipes.training_set import TrainingSet, without
from bandprobe.recipes.vectors import Vectors

__all__ = [
    "RECIPES",
    "DetectorRecipe",
    "Made",
    "TrainingSet",
    "Vectors",
    "named",
    "stands_alone",
    "train",
    "without",
]
