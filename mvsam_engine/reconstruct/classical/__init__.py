# SPDX-License-Identifier: GPL-3.0-or-later
"""The classical route: SIFT, structure from motion, plane sweep, PatchMatch, agreement, fill.

It needs no trained weights and runs on the CPU.

Source of the parts: Lowe 2004 (SIFT), Schoenberger and Frahm 2016 (COLMAP), Pan et al. 2024
(GLOMAP), Collins 1996 (plane sweep), Hirschmueller 2008 (semi-global aggregation), Bleyer et al.
2011 (PatchMatch stereo), Galliani et al. 2015 (checkerboard propagation), Schoenberger et al. 2016
(geometric consistency), Meyer 1992 (watershed), Min et al. 2014 (fast global smoother).
"""
