# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam info`, `mvsam doctor` and `mvsam weights list`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from mvsam_engine import doctor as machine
from mvsam_engine.capture import Capture, Reconstruction
from mvsam_engine.capture.schema import object_to_json, reconstruction_to_json
from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.fields import JsonObject


def info(terminal: Terminal, root: Path) -> None:
    """Photos, cameras, points and objects of a capture."""
    capture = Capture.open(root)
    photos = capture.photos()
    reconstruction = capture.reconstruction()
    data: JsonObject = {
        "capture": str(root),
        "photos": [{"view": p.view, "width": p.width, "height": p.height} for p in photos],
        "reconstruction": None,
        "objects": [object_to_json(o) for o in capture.objects()],
        "megabytes": round(sum(f.stat().st_size for f in root.rglob("*") if f.is_file()) / 1e6, 1),
    }
    terminal.print(f"{root}: {len(photos)} photos, {data['megabytes']} MB")
    if reconstruction is None:
        terminal.print("Not reconstructed yet: run `mvsam reconstruct`.")
    else:
        known = [_known_share(capture, c.view) for c in reconstruction.cameras]
        cameras = reconstruction_to_json(reconstruction)
        data["reconstruction"] = cameras | {"known_share": [round(k, 4) for k in known]}
        terminal.print(
            f"{len(reconstruction.cameras)} of {len(photos)} placed by {reconstruction.method}; "
            f"{100 * float(np.mean(known or [0])):.0f} % of the pixels have a point"
        )
        terminal.print(_standing(reconstruction))
        for unplaced in reconstruction.unplaced:
            terminal.print(f"  left out: {unplaced.view}: {unplaced.reason}")
    _print_objects(terminal, capture)
    terminal.result(data)


def _standing(reconstruction: Reconstruction) -> str:
    """Whether the world is upright and to scale, and from what."""
    up = "upright" if reconstruction.is_upright else "not known to be upright"
    scale = "in metres" if reconstruction.is_metric else "of unknown scale"
    source = reconstruction.placement.source
    return f"The world is {up} and {scale}" + (f": {source}" if source else "")


def _known_share(capture: Capture, view: str) -> float:
    return float(np.isfinite(capture.pointmap(view).points[..., 0]).mean())


def _print_objects(terminal: Terminal, capture: Capture) -> None:
    objects = capture.objects()
    if not objects:
        return
    table = Table("object", "prompts", "views with it", "lowest confidence", "masks")
    for item in objects:
        seen = [s for s in item.scores if s.area > 0]
        lowest = f"{min(s.confidence for s in seen):.2f}" if seen else "-"
        state = "up to date" if item.answered == item.revision else "older than prompts or cameras"
        table.add_row(
            item.name,
            str(len(item.prompts)),
            f"{len(seen)} of {len(item.scores)}",
            lowest,
            state if item.segmenter else "none",
        )
    terminal.print(table)


def doctor(terminal: Terminal) -> bool:
    """Print what is true here; True when nothing is missing."""
    report = machine.report()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    device = f"{report['device']} ({report['device_name']})"
    rows = [
        ("engine", f"{report['engine']}, {report['licence']}"),
        ("Python", f"{report['python']} ({report['executable']})"),
        ("platform", f"{report['platform']}, {report['cores']} cores"),
        ("memory", f"{report['memory_gb']} GB, of it free: {report['memory_free_gb']} GB"),
        ("disk", f"{report['disk_free_gb']} GB free"),
        ("device", device),
        *((name, version or "missing") for name, version in report["libraries"].items()),
        *((w["name"], f"{w['state']}, {w['licence']}") for w in report["weights"]),
        ("weights in", report["weights_folder"]),
        *((f"preset {p['name']}", _what_it_takes(p)) for p in report["presets"]),
    ]
    for name, value in rows:
        table.add_row(name, value)
    terminal.print(table)
    for problem in report["problems"]:
        terminal.print(f"problem: {problem}")
    if not report["problems"]:
        terminal.print("Everything that the default needs is here.")
    terminal.result(report)
    return not report["problems"]


def _what_it_takes(preset: JsonObject) -> str:
    """A preset on this machine."""
    fits = "" if preset["fits"] else ", more than is free"
    return (
        f"{preset['photos']} photos of a phone: about {preset['minutes']:.0f} min, "
        f"{preset['memory_gb']} GB of memory{fits}"
    )


def weights(terminal: Terminal) -> None:
    """Print the catalogue of weights, and where the optional ones are published."""
    entries = machine.weights_status()
    table = Table()
    for column in ("name", "state", "size"):
        table.add_column(column, no_wrap=True)
    for column in ("licence", "for", "memory"):
        table.add_column(column)
    for entry in entries:
        size = f"{entry['megabytes']:.0f} MB"
        licence = entry["licence"] + ("" if entry["commercial"] else " (not commercial)")
        row = (entry["name"], entry["state"], size, licence, entry["purpose"], entry["needs"])
        table.add_row(*row)
    terminal.print(table)
    for entry in entries:
        if entry["origin"].startswith("https:"):
            terminal.print(f"{entry['name']}: {entry['origin']}")
    terminal.print(
        "`mvsam weights get NAME` fetches those with an address; "
        "`mvsam weights add FILE` takes a file that you have."
    )
    terminal.result(entries)
