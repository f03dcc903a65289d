# SPDX-License-Identifier: GPL-3.0-or-later
"""Points to a mesh, its UVs and its texture from the photos."""
