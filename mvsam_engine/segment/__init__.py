# SPDX-License-Identifier: GPL-3.0-or-later
"""From prompts to masks: SAM on single photos, and the segmenters that join the views."""
