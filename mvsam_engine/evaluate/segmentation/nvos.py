# SPDX-License-Identifier: GPL-3.0-or-later
"""NVOS: scribbles on one photo of an LLFF scene, the true mask of one other photo.

Ren et al., "Neural Volumetric Object Selection", CVPR 2022; https://jason718.github.io/nvos/.
Layout of its archive, as two independent open evaluations read it (OpenVDB's GARfVDB,
``eval_nvos.py``; RADIO-GS, manifests of NVOS and SPIn-NeRF):

    masks/<task>/<photo>_mask.png, <photo>.JPG         target: true mask and the photo again
    reference_image/<task>/<photo>.JPG                 reference
    scribbles/<task>/pos_*.png, neg_*.png, vis_*.png   on the reference, at a quarter of its size

(below ``labels/llff/`` in some copies). Eight tasks on seven scenes: ``horns_center`` and
``horns_left`` share the photos of ``horns``. The photos are LLFF's, undistorted by NeX
(https://github.com/nex-mpi/nex-code, ``<scene>_undistort``) or as LLFF has them, which the
authors of SA3D call equivalent here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mvsam_engine.errors import UsageError
from mvsam_engine.evaluate.segmentation.photo_folders import photos_of_scene
from mvsam_engine.evaluate.segmentation.sets import Scribbles, SegmentationSet, Task

NAME = "NVOS"
TASKS = (
    "fern",
    "flower",
    "fortress",
    "horns_center",
    "horns_left",
    "leaves",
    "orchids",
    "trex",
)
_PARTS = ("masks", "reference_image", "scribbles")
_MASK = "_mask"


def find_root(source: Path) -> Path | None:
    """The folder with the three parts, in `source` or below ``labels/llff``; else None."""
    for root in (source, source / "labels" / "llff", source / "llff"):
        if all((root / part).is_dir() for part in _PARTS):
            return root
    return None


def read_sets(root: Path, photos: Path | None) -> list[SegmentationSet]:
    """One set for each task that is there.

    Args:
        root: see `find_root`.
        photos: folder with the folders of the scenes; None looks around `root`.

    Raises:
        UsageError: a part of a task is missing or ambiguous, or its photos are not found.
    """
    whole = root.resolve()
    above = list(whole.parents)
    around = [photos] if photos else [*(a / "scenes" for a in above[:2]), whole, *above[:1]]
    tasks = sorted(p.name for p in (root / "masks").iterdir() if _is_shown(p))
    return [_read_task(root, name, around) for name in tasks]


def _read_task(root: Path, name: str, around: list[Path]) -> SegmentationSet:
    mask = _only(root / "masks" / name, lambda p: p.stem.endswith(_MASK), "mask of the target")
    target = mask.stem.removesuffix(_MASK)
    reference = _only(root / "reference_image" / name, lambda _: True, "reference photo").stem
    scribbles = root / "scribbles" / name
    scene = "horns" if name.startswith("horns") else name
    if target == reference:
        raise UsageError(
            "evaluate.nvos", f"NVOS task {name}: reference and target are both {target}.", ""
        )
    task = Task(
        name=name,
        masks={target: mask},
        reference=reference,
        scored=(target,),
        scribbles=Scribbles(
            positive=_only(scribbles, lambda p: p.stem.startswith("pos"), "positive scribble"),
            negative=_only(scribbles, lambda p: p.stem.startswith("neg"), "negative scribble"),
        ),
    )
    photos = photos_of_scene(scene, around, (target, reference))
    return SegmentationSet(name, NAME, (task,), photos=photos, scene=scene)


def _only(folder: Path, is_it: Callable[[Path], bool], what: str) -> Path:
    files = folder.iterdir() if folder.is_dir() else ()
    found = sorted(p for p in files if p.is_file() and _is_shown(p) and is_it(p))
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "nothing"
        raise UsageError(
            "evaluate.nvos",
            f"NVOS expects exactly one {what} in {folder}; there is {names}.",
            "The layout is described in docs/segmentation.md.",
        )
    return found[0]


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")
