# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring segmenters against true masks, side by side: sets, prompts, metrics, tables, figures.

Importing this package is cheap. What is measured and how: docs/segmentation.md.
"""
