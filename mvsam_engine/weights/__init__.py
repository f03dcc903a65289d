# SPDX-License-Identifier: GPL-3.0-or-later
"""Trained weights: what there is, where it comes from, and safe loading."""

from mvsam_engine.weights.catalogue import CATALOGUE, WeightsEntry, find_weights
from mvsam_engine.weights.load import load_state

__all__ = ["CATALOGUE", "WeightsEntry", "find_weights", "load_state"]
