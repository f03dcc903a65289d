# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam reconstruct` and `mvsam segment`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mvsam_engine import jobs
from mvsam_engine.capture import Capture, Prompt, SceneObject, new_object_id
from mvsam_engine.capture.schema import object_to_json
from mvsam_engine.commands.prompts import parse_box, parse_mask, parse_point, store_mask
from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import UsageError
from mvsam_engine.photos import IntakeOptions
from mvsam_engine.reconstruct import ReconstructOptions, method_for
from mvsam_engine.segment import SEGMENTERS, load_segmenter

# Distinct under common colour blindness (Okabe and Ito 2008), orange first.
_COLORS = (
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.80, 0.47, 0.65),
    (0.84, 0.37, 0.00),
    (0.00, 0.45, 0.70),
)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How to reconstruct."""

    name: str
    options: ReconstructOptions


@dataclass(frozen=True, slots=True)
class GivenPhotos:
    """Photos as named on the command line, and how they come in (see `IntakeOptions`)."""

    sources: tuple[Path, ...]
    masks: Path | None
    masks_invert: bool
    every: int | None
    recursive: bool


@dataclass(frozen=True, slots=True)
class GivenPrompts:
    """Prompts as written on the command line."""

    points: tuple[str, ...]
    boxes: tuple[str, ...]
    masks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answering:
    """How to answer prompts."""

    segmenter: str
    encoder: str | None
    reset: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the person has already."""

    cameras: Path | None = None
    mesh: Path | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work to put in, and where it is done (see `ReconstructOptions`)."""

    preset: str = "normal"
    max_size: int | None = None
    device: str = "auto"


def options(name: str | None, effort: Effort, known: Known | None = None) -> Geometry:
    """Check the choices of `mvsam reconstruct`.

    Raises:
        UsageError: an unknown reconstructor, preset or device, or one that cannot use what is
            given.
    """
    known = known or Known()
    _known("device", effort.device, ("auto", "cpu", "cuda", "mps"))
    chosen = ReconstructOptions(
        preset=effort.preset,
        max_size=effort.max_size,
        device=effort.device,
        cameras=known.cameras,
        mesh=known.mesh,
    )
    return Geometry(method_for(name or "", chosen), chosen)


def _known(what: str, name: str, names: Sequence[str] | dict[str, object]) -> None:
    if name not in names:
        raise UsageError(
            f"usage.{what}", f"There is no {what} {name!r}.", f"Known: {', '.join(names)}."
        )


def reconstruct(terminal: Terminal, given: GivenPhotos, root: Path, geometry: Geometry) -> None:
    """Reconstruct and tell what was placed."""
    intake = IntakeOptions(given.masks, given.masks_invert, given.every, given.recursive)
    expected = jobs.forecast_photos(root, given.sources, geometry.options, given.recursive)
    if expected.photos:
        terminal.print(expected.sentence())
    with terminal.progress() as progress:
        capture, reconstruction = jobs.reconstruct_photos(
            root, given.sources, geometry.name, geometry.options, progress, intake
        )
    seconds = progress.seconds_by_stage()
    placed, total = len(reconstruction.cameras), len(capture.photos())
    terminal.print(f"Placed {placed} of {total} photos in {sum(seconds.values()):.1f} s: {root}")
    for unplaced in reconstruction.unplaced:
        terminal.print(f"  left out: {unplaced.view}: {unplaced.reason}")
    terminal.result(
        {
            "capture": str(root),
            "photos": total,
            "views": [c.view for c in reconstruction.cameras],
            "unplaced": {u.view: u.reason for u in reconstruction.unplaced},
            "seconds": {stage: round(s, 2) for stage, s in seconds.items()},
            "peak_memory_mb": peak_memory_mb(),
            "forecast": {
                "seconds": round(expected.seconds, 1),
                "memory_mb": round(expected.memory_mb),
            },
            "warnings": progress.warnings,
        }
    )


def segment(
    terminal: Terminal, root: Path, name: str, given: GivenPrompts, answering: Answering
) -> None:
    """Add prompts to an object, answer them in every view, and tell how sure each view is."""
    _known("segmenter", answering.segmenter, SEGMENTERS)
    if not name.strip():
        raise UsageError("usage.object", "An object needs a name.", "Write --object NAME.")
    capture = Capture.open(root)
    item = _with_prompts(capture, name, given, answering.reset)
    jobs.check_prompts(capture, item)  # refuse before anything heavy is loaded
    with terminal.progress() as progress:
        segmenter = load_segmenter(answering.segmenter, encoder=answering.encoder)
        stored = jobs.segment_object(capture, item, segmenter, progress)
    seconds = progress.seconds_by_stage()
    seen = [s for s in stored.scores if s.area > 0]
    terminal.print(
        f"{stored.name}: in {len(seen)} of {len(stored.scores)} views, "
        f"{sum(seconds.values()):.1f} s"
    )
    for score in sorted(seen, key=lambda s: s.confidence)[:3]:
        terminal.print(f"  check {score.view}: confidence {score.confidence:.2f}")
    terminal.result(
        {
            "object": object_to_json(stored),
            "masks": {s.view: str(capture.mask_path(stored.id, s.view)) for s in stored.scores},
            "seconds": {stage: round(s, 2) for stage, s in seconds.items()},
            "peak_memory_mb": peak_memory_mb(),
            "warnings": progress.warnings,
        }
    )


def _with_prompts(capture: Capture, name: str, given: GivenPrompts, reset: bool) -> SceneObject:
    """The object, new or known, with the given prompts added and masks copied in."""
    objects = capture.objects()
    item = capture.find_object(name) or SceneObject(
        id=new_object_id(name, tuple(o.id for o in objects)),
        name=name,
        color=_COLORS[len(objects) % len(_COLORS)],
    )
    prompts: list[Prompt] = [] if reset else list(item.prompts)
    new = [parse_point(t) for t in given.points] + [parse_box(t) for t in given.boxes]
    masks = [parse_mask(t) for t in given.masks]
    with capture.writing(), capture.transaction() as transaction:
        for view, file in masks:
            prompt, png = store_mask(capture, item.id, view, file)
            transaction.write(prompt.mask, png)
            new.append(prompt)
    prompts += [p for p in new if p not in prompts]
    changed = bool(masks) or tuple(prompts) != item.prompts
    return replace(item, prompts=tuple(prompts), revision=item.revision + int(changed))


def peak_memory_mb() -> int | None:
    """Largest memory of this process and of its largest child so far, MB; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1024 if sys.platform == "darwin" else 1  # macOS counts bytes, Linux kilobytes
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(max(own, child) / unit / 1024)
