# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring what the engine makes against known truth, beside other programs."""
