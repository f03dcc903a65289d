# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a capture and its objects take to come into Blender; runs where ``bpy`` is.

    .venvs/bpy-4.5/bin/python benchmarks/blender_import.py CAPTURE

Prints the number of points, seconds for points, cameras and images, and seconds for each object's
weights, vertex group and mask images. The second line of each is a repetition, which replaces data.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="mvsam-import-"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import bpy

import mvsam_blender


def main(capture: str) -> None:
    """Import twice and print the times."""
    from mvsam_blender.scene import build
    from mvsam_blender.scene.points import points_object

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    mvsam_blender.register()
    print(f"Blender {bpy.app.version_string}")
    for _ in range(2):
        began = time.perf_counter()
        build.load_capture(bpy.context, capture)
        seconds = time.perf_counter() - began
        count = len(points_object(bpy.context.scene).data.vertices)
        print(f"capture: {count} points, {seconds:.2f} s")
        for item in bpy.context.scene.mvsam.objects:
            began = time.perf_counter()
            build.load_object(bpy.context, item.object_id)
            print(f"object {item.name}: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    # Blender's own clean-up crashes (4.2) or hangs (4.5) when add-on classes are registered.
    os._exit(0)
