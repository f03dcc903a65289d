# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a scenario in the window of a running Blender: clicks, keys, waits, screenshots.

Started by ``blender --enable-event-simulate --python driver.py -- SCENARIO.py FOLDER``. A scenario
is a file with a generator function ``scenario(stage)``: between two ``yield`` statements Blender's
event loop runs, so that windows redraw and operators work as they do for a person. ``yield s``
waits s seconds; the helpers of `Stage` are generators too and are used with ``yield from``.

What the scenario writes into ``stage.report`` is saved as FOLDER/report.json, together with
``error`` (a traceback) if it failed, and the screenshots lie in FOLDER.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path

import bpy

# One step of a scenario: yields the seconds to wait; may return something.
Steps = Generator[float, None, None]

PAUSE = 0.15  # seconds for Blender to take in an event and redraw


class ScenarioError(Exception):
    """The window did not do what the scenario expects."""


class Stage:
    """The window of the running Blender, as a person at a desk has it: a mouse and a keyboard.

    Positions are window pixels, origin lower left, as Blender counts them.

    Attributes:
        folder: writable; screenshots and whatever the scenario makes.
        given: what the test handed to the scenario.
        report: what the scenario hands back; anything that JSON can hold.
    """

    def __init__(self, folder: Path, given: dict) -> None:
        self.folder = folder
        self.given = given
        self.report: dict = {}
        self._mouse = (0, 0)
        self._shots = 0

    # The parts of the window. Fetched anew each time: undo and file loading replace them.

    @property
    def window(self) -> bpy.types.Window:
        """The first window."""
        return bpy.context.window_manager.windows[0]

    def areas(self, kind: str) -> list[bpy.types.Area]:
        """All areas of one type, from left to right."""
        return sorted((a for a in self.window.screen.areas if a.type == kind), key=lambda a: a.x)

    def area(self, kind: str) -> bpy.types.Area:
        """The leftmost area of a type, e.g. ``"IMAGE_EDITOR"``."""
        found = self.areas(kind)
        if not found:
            raise ScenarioError(f"no {kind} in the window")
        return found[0]

    @staticmethod
    def region(area: bpy.types.Area, kind: str = "WINDOW") -> bpy.types.Region:
        """A region of an area."""
        return next(region for region in area.regions if region.type == kind)

    def context_of(self, area: bpy.types.Area):
        """A context manager: operators run as if the mouse were over ``area``."""
        screen = self.window.screen
        region = self.region(area)
        return bpy.context.temp_override(
            window=self.window, screen=screen, area=area, region=region
        )

    def split_for_image(self) -> Steps:
        """Split the 3D Viewport: an Image Editor on the left, the viewport on the right."""
        view = self.area("VIEW_3D")
        with self.context_of(view):
            bpy.ops.screen.area_split(direction="VERTICAL", factor=0.5)
        yield PAUSE
        self.area("VIEW_3D").type = "IMAGE_EDITOR"
        yield PAUSE

    def show_image(self, image: bpy.types.Image) -> Steps:
        """Show ``image`` in the Image Editor, fitted."""
        editor = self.area("IMAGE_EDITOR")
        editor.spaces.active.image = image
        yield PAUSE
        with self.context_of(editor):
            bpy.ops.image.view_all(fit_view=True)
        yield PAUSE

    def over_image(self, x: float, y: float) -> tuple[int, int]:
        """Where in the window a pixel of the shown image is; x right, y down, as photos count."""
        editor = self.area("IMAGE_EDITOR")
        width, height = editor.spaces.active.image.size
        region = self.region(editor)
        across, up = region.view2d.view_to_region(x / width, 1.0 - y / height, clip=False)
        place = (region.x + across, region.y + up)
        for other in editor.regions:
            hidden = other.type != "WINDOW" and _contains(other, *place)
            self.check(not hidden, f"({x:g}, {y:g}) of the image is covered by {other.type}")
        self.check(_contains(region, *place), f"({x:g}, {y:g}) of the image is out of sight")
        return place

    def middle(self, area: bpy.types.Area) -> tuple[int, int]:
        """The middle of an area's main region."""
        region = self.region(area)
        return region.x + region.width // 2, region.y + region.height // 2

    def visible_part(self, area: bpy.types.Area) -> tuple[int, int, int, int]:
        """Where a screenshot shows an area's main region: left, top, right, bottom.

        Screenshots count from the upper left; sidebar and toolbar lie over the region.
        """
        region = self.region(area)
        left, right = region.x, region.x + region.width
        for other in area.regions:
            if other.type == "UI" and other.width > 1:
                right = min(right, other.x)
            elif other.type == "TOOLS" and other.width > 1:
                left = max(left, other.x + other.width)
        height = self.window.height
        return left, height - region.y - region.height, right, height - region.y

    # Mouse and keyboard

    def move(self, x: float, y: float) -> Steps:
        """Move the mouse."""
        self._mouse = (int(x), int(y))
        self._send("MOUSEMOVE", "NOTHING")
        yield PAUSE

    def click(self, x: float, y: float, button: str = "LEFTMOUSE", **modifiers: bool) -> Steps:
        """Move there, press and let go; ``shift=True``, ``ctrl=True``, ``alt=True`` are held."""
        yield from self.move(x, y)
        self._send(button, "PRESS", **modifiers)
        self._send(button, "RELEASE", **modifiers)
        yield PAUSE

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 6) -> Steps:
        """Drag with the left button, in several moves as a hand does."""
        yield from self.move(*start)
        self._send("LEFTMOUSE", "PRESS")
        for step in range(1, steps + 1):
            part = step / steps
            x, y = (round(a + (b - a) * part) for a, b in zip(start, end, strict=True))
            yield from self.move(x, y)
        self._send("LEFTMOUSE", "RELEASE")
        yield PAUSE

    def key(self, name: str, **modifiers: bool) -> Steps:
        """Press and let go of a key, e.g. ``"Z", ctrl=True``, with the mouse where it is."""
        self._send(name, "PRESS", **modifiers)
        self._send(name, "RELEASE", **modifiers)
        yield PAUSE

    def _send(self, kind: str, value: str, **modifiers: bool) -> None:
        x, y = self._mouse
        self.window.event_simulate(type=kind, value=value, x=x, y=y, **modifiers)

    # Waiting and looking

    def wait_until(
        self, condition: Callable[[], object], what: str, timeout: float = 30.0
    ) -> Steps:
        """Let Blender work until ``condition()`` holds; the error says ``what`` was waited for."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > timeout:
                raise ScenarioError(f"waited {timeout:.0f} s in vain for: {what}")
            yield 0.05

    def shot(self, name: str) -> Steps:
        """Save a picture of the whole window, numbered in order."""
        for area in self.window.screen.areas:
            area.tag_redraw()
        yield 0.3
        self._shots += 1
        # Blender's own screenshot operator writes black under a software display.
        target = self.folder / f"{self._shots:02d}_{name}.png"
        subprocess.run(["import", "-window", "root", str(target)], check=True)

    def check(self, condition: object, message: str) -> None:
        """Stop the scenario with ``message`` unless ``condition`` holds."""
        if not condition:
            raise ScenarioError(message)


def _contains(region: bpy.types.Region, x: float, y: float) -> bool:
    """Whether a window position lies in a region; closed regions are one pixel wide."""
    across, up = x - region.x, y - region.y
    return region.width > 1 and 0 <= across < region.width and 0 <= up < region.height


def load(path: Path) -> Callable[[Stage], Steps]:
    """The generator function ``scenario`` of a scenario file."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.scenario


def play(path: Path, folder: Path) -> None:
    """Start the scenario; Blender's event loop carries it on, and the end of it ends Blender."""
    given = json.loads((folder / "given.json").read_text(encoding="utf-8"))
    stage = Stage(folder, given)
    stage.report["blender"] = bpy.app.version_string
    stage.report["python"] = sys.version.split()[0]
    # A window that hangs says where, just before the test gives it up.
    faulthandler.dump_traceback_later(max(given["timeout"] - 5, 1))
    steps = iter(load(path)(stage))

    def finish(status: int) -> None:
        text = json.dumps(stage.report, indent=1)
        (folder / "report.json").write_text(text, encoding="utf-8")
        sys.stdout.flush()
        # Quitting would ask about unsaved changes.
        os._exit(status)

    def failed_shot() -> None:
        target = folder / "99_failed.png"
        subprocess.run(["import", "-window", "root", str(target)], check=False)

    def advance() -> float:
        try:
            return next(steps)
        except StopIteration:
            stage.report["finished"] = True
            finish(0)
        except BaseException:
            stage.report["error"] = traceback.format_exc()
            failed_shot()
            finish(1)
        return 0.0

    bpy.app.timers.register(advance, first_interval=0.5, persistent=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    bpy.context.preferences.view.show_splash = False
    arguments = sys.argv[sys.argv.index("--") + 1 :]
    play(Path(arguments[0]), Path(arguments[1]))
