# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's part that knows nothing of Blender: engine client, prompts, points, weights."""
