# SPDX-License-Identifier: GPL-3.0-or-later
"""Child process that reads a COLMAP model: ``colmap_worker MODEL_FOLDER RESULT.npz MEMORY``.

A process of its own because pycolmap ends the whole process on a damaged binary model, or asks
for all memory there is. Exit code 3 with a sentence on standard error: the model is refused.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pycolmap

# Exit code of a model that was refused in words.
REFUSED = 3


def main() -> None:
    """Entry point."""
    import pycolmap

    folder, result, memory = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    _limit_memory(memory)
    pycolmap.logging.minloglevel = 3
    try:
        model = pycolmap.Reconstruction(str(folder))
        _save(model, result)
    # Whatever pycolmap raises on a damaged file means the same to a person.
    except Exception as error:
        sys.stderr.write("\nREFUSED " + " ".join(str(error).split()) + "\n")
        sys.stderr.flush()
        os._exit(REFUSED)
    os._exit(0)


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _save(model: pycolmap.Reconstruction, result: Path) -> None:
    """Cameras and names as JSON, poses, points and observations as arrays."""
    images = [model.images[i] for i in sorted(model.reg_image_ids())]
    cameras = {
        number: [c.model.name, int(c.width), int(c.height), [float(p) for p in c.params]]
        for number, c in model.cameras.items()
    }
    photos = [[image.name, cameras[image.camera_id]] for image in images]
    points = {number: i for i, number in enumerate(model.points3D)}
    seen = [
        (i, points[observed.point3D_id])
        for i, image in enumerate(images)
        for observed in image.points2D
        if observed.point3D_id in points
    ]
    pairs = np.array(seen, dtype=np.int64).reshape(-1, 2)
    np.savez(
        result,
        photos=np.frombuffer(json.dumps(photos).encode(), dtype=np.uint8),
        poses=np.array([i.cam_from_world().matrix() for i in images]).reshape(-1, 3, 4),
        points=np.array([p.xyz for p in model.points3D.values()]).reshape(-1, 3),
        seen=pairs,
    )


if __name__ == "__main__":
    main()
