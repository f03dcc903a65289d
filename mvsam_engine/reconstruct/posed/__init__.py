# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointmaps from what a person already has: cameras of another program, and a mesh."""
