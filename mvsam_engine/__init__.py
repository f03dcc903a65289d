# SPDX-License-Identifier: GPL-3.0-or-later
"""MV-SAM engine: photos to pointmaps and cameras, clicks to 3D-consistent masks.

Importing this package imports nothing heavy: the Blender add-on reads captures and
protocol messages through it.
"""

__version__ = "0.1.0"
