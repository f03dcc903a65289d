# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO instance annotations: one mask for each object and photo, as run lengths by pycocotools.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height in pixels from the
corner; areas are pixels. A mask in several pieces, or with holes, is one annotation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mvsam_engine.capture import Capture
from mvsam_engine.capture.files import json_bytes
from mvsam_engine.errors import UsageError
from mvsam_engine.export.folder import OutputFolder
from mvsam_engine.export.mask_images import joined
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.photo_files import photo_files
from mvsam_engine.export.selecting import some_objects
from mvsam_engine.photos.read import read_bytes
from mvsam_engine.progress import Progress


def export_coco(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write annotations.json, and the upright photos that it refers to in images/.

    With ``photos`` original, names and pixels are those of the person's own files as stored.

    Raises:
        UsageError: pycocotools is not installed, or the folder holds something else.
        MvsamError: no object with masks, or a failed write.
    """
    masks = _pycocotools()
    which = options.photos or "upright"
    items = some_objects(capture, options.objects, progress)
    files = photo_files(capture.photos(), which, progress)
    data: dict[str, Any] = {
        "info": {"description": "Masks by MV-SAM", "version": "1.0"},
        "licenses": [],
        "images": [],
        "categories": [
            {"id": i, "name": item.name, "supercategory": "object"}
            for i, item in enumerate(items, start=1)
        ],
        "annotations": [],
    }
    with OutputFolder(out, "coco", options.overwrite) as folder:
        progress.stage("Writing annotations", len(files))
        for image_id, file in enumerate(files, start=1):
            width, height = file.size
            name = file.name if which == "original" else f"images/{file.name}"
            data["images"].append(
                {"id": image_id, "file_name": name, "width": width, "height": height}
            )
            for category, item in enumerate(items, start=1):
                mask = joined(capture, [item], file.photo, options.dilate)
                if not mask.any():
                    continue
                runs = masks.encode(np.asfortranarray(file.stored(mask).astype(np.uint8)))
                data["annotations"].append(
                    {
                        "id": len(data["annotations"]) + 1,
                        "image_id": image_id,
                        "category_id": category,
                        "iscrowd": 0,
                        "area": int(masks.area(runs)),
                        "bbox": [float(v) for v in masks.toBbox(runs)],
                        "segmentation": {**runs, "counts": runs["counts"].decode("ascii")},
                    }
                )
            if which == "upright":
                folder.write(name, read_bytes(capture.photo_path(file.photo)))
            progress.step()
        return [folder.write("annotations.json", json_bytes(data))]


def _pycocotools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise UsageError(
            "export.pycocotools",
            "COCO masks need the package pycocotools, which is not installed.",
            'Install it: pip install "mvsam-engine[coco]".',
        ) from error
    return mask
