# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's core is tested from the checkout, without Blender."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
