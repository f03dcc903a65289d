# SPDX-License-Identifier: GPL-3.0-or-later
"""How good and how fast the segmenters are on a capture with true masks.

    python benchmarks/segmentation.py CAPTURE MASKS --ref VIEW [--clicks 1|8+2] [--seeds 3]
                                      [--methods project,lift,splat] [--at X,Y]

MASKS holds ``<object>/<view>.png`` (255 = object, photo size), or the views' masks directly.
Clicks are drawn in the reference view with fixed seeds: positives inside the eroded true mask,
negatives in a band around it; ``--at`` clicks at one given position instead. The reference view
is not scored. A true mask that is empty counts as an absent view: right when the answer is empty
too, and never part of the IoU mean.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Capture, MaskSet, Prompt, SceneObject, ViewMask
from mvsam_engine.progress import Progress
from mvsam_engine.segment import SEGMENTERS, load_segmenter
from mvsam_engine.segment.base import Segmenter
from mvsam_engine.segment.masks import full_size_mask

Masks = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Run:
    """One object, one seed, one method.

    Attributes:
        ious: IoU by view, of views that show the object, without the reference.
        recalls: share of the object's pixels that were found, by view.
        absent: by view that does not show the object, whether the answer was empty.
        reference: IoU of the reference view's final mask.
        first: seconds to the first mask.
        total: seconds to all masks.
        cpu: processor seconds to all masks, which another program's load changes less.
    """

    ious: dict[str, float]
    recalls: dict[str, float]
    absent: dict[str, bool]
    reference: float
    first: float
    total: float
    cpu: float


def read_masks(folder: Path) -> Masks:
    """True masks by view."""
    return {p.stem: np.asarray(Image.open(p).convert("L")) > 127 for p in folder.glob("*.png")}


def find_objects(masks: Path) -> dict[str, Masks]:
    """True masks by object and view."""
    folders = [p for p in masks.iterdir() if p.is_dir()] or [masks]
    return {folder.name: read_masks(folder) for folder in sorted(folders)}


def sample_clicks(
    truth: NDArray[np.bool_], positives: int, negatives: int, seed: int
) -> list[tuple[float, float, bool]]:
    """Clicks (x, y, is object): inside the mask eroded by 3 px, and in a band 4 to 30 px off."""
    rng = np.random.default_rng(seed)
    mask = truth.astype(np.uint8)

    def grown(side: int) -> NDArray[np.bool_]:
        return cv2.dilate(mask, np.ones((side, side), np.uint8)) > 0

    inside = cv2.erode(mask, np.ones((7, 7), np.uint8)) > 0
    band = grown(61) & ~grown(7)
    clicks: list[tuple[float, float, bool]] = []
    for area, count, is_object in ((inside, positives, True), (band, negatives, False)):
        y, x = np.nonzero(area)
        chosen = rng.choice(len(x), count, replace=False)
        clicks += [(x[k] + 0.5, y[k] + 0.5, is_object) for k in chosen]
    return clicks


def iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / max(1, (found | truth).sum()))


def run(segmenter: Segmenter, item: SceneObject, truths: Masks, reference: str) -> Run:
    """Ask once and score."""
    began, cpu_began = time.perf_counter(), time.process_time()
    first: list[float] = []

    def on_view(_: ViewMask) -> None:
        first.append(time.perf_counter() - began)

    answer = segmenter.predict(item, Progress(), on_view)
    total, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    found = full_masks(answer, truths)
    scored = [v for v in truths if v != reference and v in found]
    shown = [v for v in scored if truths[v].any()]
    return Run(
        ious={v: iou(found[v], truths[v]) for v in shown},
        recalls={v: float(found[v][truths[v]].mean()) for v in shown},
        absent={v: not found[v].any() for v in scored if not truths[v].any()},
        reference=iou(found[reference], truths[reference]),
        first=first[0],
        total=total,
        cpu=cpu,
    )


def full_masks(answer: MaskSet, truths: Masks) -> Masks:
    """Masks at the size of the true ones."""
    return {
        m.view: full_size_mask(m.logits, *truths[m.view].shape[::-1])
        for m in answer.masks
        if m.view in truths
    }


def object_of(clicks: list[tuple[float, float, bool]], view: str) -> SceneObject:
    """An object with these clicks in one view."""
    prompts = tuple(Prompt("point", view, include=c[2], xy=(c[:2],)) for c in clicks)
    return SceneObject(id="benchmark", name="benchmark", prompts=prompts, revision=1)


def report(name: str, runs: list[Run], detailed: bool) -> dict[str, object]:
    """Print one line of the table; give its numbers."""
    means = [float(np.mean(list(r.ious.values()))) for r in runs]
    by_view = {v: float(np.mean([r.ious[v] for r in runs])) for v in runs[0].ious}
    worst = min(by_view, key=lambda v: by_view[v])
    absent = [right for r in runs for right in r.absent.values()]
    numbers: dict[str, object] = {
        "method": name,
        "iou": round(float(np.mean(means)), 4),
        "iou_by_seed": [round(m, 4) for m in means],
        "recall": round(float(np.mean([v for r in runs for v in r.recalls.values()])), 4),
        "worst_view": worst,
        "worst_iou": round(by_view[worst], 4),
        "absent_accuracy": round(float(np.mean(absent)), 4) if absent else None,
        "reference_iou": round(float(np.mean([r.reference for r in runs])), 4),
        "first_s": round(float(np.median([r.first for r in runs])), 3),
        "all_s": round(float(np.median([r.total for r in runs])), 3),
        "cpu_s": round(float(np.median([r.cpu for r in runs])), 3),
    }
    shown = "none" if not absent else f"{np.mean(absent):.3f}"
    print(
        f"{name:8} {numbers['iou']:.3f}  {numbers['recall']:.3f}   {worst}: {by_view[worst]:.3f}"
        f"   {shown:6} {numbers['reference_iou']:.3f}  {numbers['first_s']:.2f}    "
        f"{numbers['all_s']:.2f}   {numbers['cpu_s']:.2f}   {numbers['iou_by_seed']}"
    )
    if detailed:
        print("         " + "  ".join(f"{v} {by_view[v]:.3f}" for v in sorted(by_view)))
    return numbers


def main() -> None:
    """Measure and print a table per object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--ref", required=True, help="view that is clicked in")
    parser.add_argument("--clicks", default="8+2", help="positives+negatives, e.g. 1 or 8+2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default=",".join(SEGMENTERS))
    parser.add_argument("--at", help="one click at X,Y of the reference view instead")
    parser.add_argument("--views", action="store_true", help="also print every view")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    positives, _, negatives = given.clicks.partition("+")
    capture = Capture.open(given.capture)
    results: list[dict[str, object]] = []
    segmenters = {name: load_segmenter(name) for name in given.methods.split(",")}
    for name, segmenter in segmenters.items():
        began = time.perf_counter()
        segmenter.prepare(capture, Progress())
        print(f"{name}: prepared in {time.perf_counter() - began:.1f} s")
    for object_name, truths in find_objects(given.masks).items():
        if given.at:
            x, y = (float(v) for v in given.at.split(","))
            asked = [object_of([(x, y, True)], given.ref)]
        else:
            asked = [
                object_of(
                    sample_clicks(truths[given.ref], int(positives), int(negatives or 0), seed),
                    given.ref,
                )
                for seed in range(given.seeds)
            ]
        print(f"\n{object_name}, clicks {given.at or given.clicks} in {given.ref}")
        print(
            "method   IoU    recall  worst view  absent  ref    first s  all s  cpu s  IoU by seed"
        )
        for name, segmenter in segmenters.items():
            runs = [run(segmenter, item, truths, given.ref) for item in asked]
            results.append({"object": object_name} | report(name, runs, given.views))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
