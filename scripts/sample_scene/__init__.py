# SPDX-License-Identifier: GPL-3.0-or-later
"""A tabletop still life built by code, for the sample capture and for benchmarks on unseen scenes.

Convention: metres, Blender's world (Z up), the floor at z = 0. Every texture is computed here; no
image, model or font file is read (printed text uses the font that is built into Pillow).
"""
