# SPDX-License-Identifier: GPL-3.0-or-later
"""The windowed Blender of the tests: it can be driven, it cleans up, it can run the engine."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import blender_room
import numpy as np
import pytest
from PIL import Image

PLACES = ((160.0, 120.0), (480.0, 120.0), (320.0, 400.0))


@pytest.fixture(scope="module")
def canvas(play):
    return play("canvas", timeout=90)


def test_clicks_land_on_the_image_pixel(canvas):
    events = [ast.literal_eval(line) for line in canvas.report["events"]]
    expected = [(value, place) for place in PLACES for value in ("PRESS", "RELEASE")]
    expected += [("PRESS", PLACES[0]), ("RELEASE", PLACES[2])]
    assert [event[0] for event in events] == [value for value, _ in expected]
    for event, (_, place) in zip(events, expected, strict=True):
        # The image is shown smaller than it is: one window pixel is about 1.5 image pixels.
        assert event[1:3] == pytest.approx(place, abs=2.0)
    assert [event[3] for event in events[:6]] == [False, False, True, True, False, False]
    assert canvas.report["modal_left"] == []
    assert canvas.report["after_delete"] is False


def test_screenshots_show_the_window(canvas):
    assert [shot.name for shot in canvas.shots()] == ["01_image.png", "02_end.png"]
    pixels = np.asarray(Image.open(canvas.shots()[0]).convert("RGB"))
    assert pixels.shape == (1050, 1680, 3)
    # The colour grid is vivid, Blender's own greys are not.
    vivid = (pixels.max(axis=2).astype(int) - pixels.min(axis=2)) > 60
    assert vivid[:, :700].mean() > 0.2


def test_engine_runs_inside_the_room(room, engine):
    code = "import torch, pycolmap, mvsam_engine; print(float(torch.ones(4) @ torch.ones(4)))"
    process = blender_room.start(
        "exec", (str(engine), "-I", "-c", code), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output.decode()
    assert output.decode().split()[-1] == "4.0"


def test_checkout_is_read_only_inside_the_room(room):
    target = blender_room.ROOT / "written-from-inside"
    process = blender_room.start("exec", ("touch", str(target)), stderr=subprocess.PIPE)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"Read-only file system" in complaint
    assert not target.exists()


def processes_with(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if text in command:
            found.append(command)
    return found


def test_nothing_stays_mounted_or_running_when_a_run_is_killed(room):
    seconds = "86399.125"  # a number that no other process carries
    process = blender_room.start("exec", ("sleep", seconds))
    deadline = time.monotonic() + 20
    while not any(line.startswith("sleep") for line in processes_with(seconds)):
        assert time.monotonic() < deadline, "the command did not start"
        time.sleep(0.05)
    assert blender_room.mounts_below(room) == []
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while processes_with(seconds) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(seconds) == []
    assert blender_room.mounts_below(room) == []


def test_a_room_with_a_mount_below_is_not_deleted(room, monkeypatch):
    monkeypatch.setattr(blender_room, "mounts_below", lambda folder: [f"{folder}/dev"])
    with pytest.raises(blender_room.RoomError, match="is mounted"):
        blender_room.remove(room)
    assert blender_room.is_ready(room)


def test_mounts_are_found_also_below_names_with_spaces(room, tmp_path):
    shared = tmp_path / "räume mit leerzeichen"
    shared.mkdir()
    code = "import sys; sys.path.insert(0, sys.argv[1]); import private_mounts, pathlib; "
    code += "print(private_mounts.mounts_below(pathlib.Path(sys.argv[2])))"
    scripts = str(blender_room.ROOT / "scripts")
    look = f'mount -t tmpfs none "$2/innen" && "$0" -c "{code}" "$1" "$2"'
    (shared / "innen").mkdir()
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", look]
    answer = subprocess.run(
        [*command, sys.executable, scripts, str(shared)], capture_output=True, text=True
    )
    assert answer.stdout.strip() == str([str(shared / "innen")]), answer.stderr
    assert blender_room.mounts_below(shared) == []
