# SPDX-License-Identifier: GPL-3.0-or-later
"""Trained weights: what there is, where it comes from, and safe loading."""

from mvsam_engine.weights.catalogue import (
    CATALOGUE,
    PACKAGED,
    WeightsEntry,
    find_packaged,
    find_weights,
)
from mvsam_engine.weights.load import load_state
from mvsam_engine.weights.official import CHECKPOINTS, OfficialCheckpoint, find_checkpoint
from mvsam_engine.weights.packaged import PackagedWeights, load_packaged

__all__ = [
    "CATALOGUE",
    "CHECKPOINTS",
    "PACKAGED",
    "OfficialCheckpoint",
    "PackagedWeights",
    "WeightsEntry",
    "find_checkpoint",
    "find_packaged",
    "find_weights",
    "load_packaged",
    "load_state",
]
