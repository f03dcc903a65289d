# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects' masks in the photos to weights on the vertices and texels of any mesh."""
