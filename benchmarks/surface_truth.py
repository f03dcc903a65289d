# SPDX-License-Identifier: GPL-3.0-or-later
"""The true meshes of a rendered scene's objects, and photos from between its views.

Run with a Python that has Blender as a module (bpy 4.5) and Pillow:

    python benchmarks/surface_truth.py OUT --kind tabletop --views 20 --every 2

OUT gets ``meshes/<object>.ply`` (metres, the frame of the scene's truth) and, from half way
between every second pair of neighbouring views, ``photos/``, ``masks/<object>/`` and
``cameras.json`` as `scripts/render_scenes.py` writes them; `benchmarks/surface.py` reads them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from sample_scene import camera
from scenes import build


def write_meshes(out: Path, objects: dict[str, int]) -> None:
    """One PLY per object, of all parts with its pass index, as they are rendered."""
    out.mkdir(parents=True, exist_ok=True)
    graph = bpy.context.evaluated_depsgraph_get()
    for name, number in objects.items():
        vertices, faces = [], []
        for item in bpy.context.scene.objects:
            if item.pass_index != number or item.type not in ("MESH", "CURVE", "SURFACE", "FONT"):
                continue
            mesh = item.evaluated_get(graph).to_mesh()
            mesh.calc_loop_triangles()
            start = sum(len(part) for part in vertices)
            matrix = np.array(item.matrix_world)
            points = np.empty(len(mesh.vertices) * 3)
            mesh.vertices.foreach_get("co", points)
            vertices.append(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
            corners = np.empty(len(mesh.loop_triangles) * 3, np.int32)
            mesh.loop_triangles.foreach_get("vertices", corners)
            faces.append(corners.reshape(-1, 3) + start)
        write_ply(out / f"{name}.ply", np.concatenate(vertices), np.concatenate(faces))


def write_ply(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """A binary PLY."""
    rows = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    path.write_bytes(header.encode() + vertices.astype("<f4").tobytes() + rows.tobytes())


def main() -> None:
    """Build the scene, write its meshes, take the photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kind", default="tabletop")
    parser.add_argument("--views", type=int, default=20, help="of the scene's own photos")
    parser.add_argument("--every", type=int, default=2, help="of the places between them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--textures", type=Path, help="photos for the kind 'shapes'")
    arguments = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = build(arguments.kind, arguments.seed, arguments.textures)
    shot = camera.Shot(
        1024, 768, 12, arguments.seed, kind=arguments.kind, focal_35mm=scene.focal_35mm,
        exposure=scene.exposure, quick=scene.quick,
    )  # fmt: skip
    device = camera.make_camera(shot)
    write_meshes(arguments.out / "meshes", scene.objects)
    (arguments.out / "photos").mkdir(exist_ok=True)
    views = {}
    for number, pose in enumerate(scene.path(2 * arguments.views - 1)):
        if number % (2 * arguments.every) != 1:
            continue
        view = f"between_{number:02d}"
        views[view] = {
            "K": shot.intrinsics.tolist(),
            "camera_from_world": np.linalg.inv(pose).tolist(),
        }
        camera.aim(device, pose)
        with tempfile.TemporaryDirectory() as scratch:
            index, _ = camera.measure(Path(scratch), 1)
        camera.save_masks(arguments.out / "masks", view, index, scene.objects)
        camera.take_photo(shot, arguments.out / "photos" / f"{view}.jpg", number)
        print(view, flush=True)
    data = {"width": shot.width, "height": shot.height, "views": views}
    (arguments.out / "cameras.json").write_text(json.dumps(data, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
