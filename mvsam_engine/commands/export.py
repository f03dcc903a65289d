# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam export ...`."""

from __future__ import annotations

from pathlib import Path

from mvsam_engine.capture import Capture
from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.presets import find_preset
from mvsam_engine.export.targets import export as write


def export(terminal: Terminal, kind: str, root: Path, out: Path, options: ExportOptions) -> None:
    """Export, and tell what was written and what to do with it."""
    with terminal.progress() as progress:
        files = write(Capture.open(root), kind, out, options, progress)
    terminal.print(f"Wrote {len(files)} {'file' if len(files) == 1 else 'files'} to {out}.")
    if kind == "masks" and options.preset:
        terminal.print(find_preset(options.preset).hint.replace("OUT", str(out)))
    if kind == "overlays":
        terminal.print(f"Look at {files[-1].name} first.")
    terminal.result({"files": [str(f) for f in files], "warnings": progress.warnings})
