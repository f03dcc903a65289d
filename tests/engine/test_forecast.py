# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets and the forecast before a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from mvsam_engine import jobs
from mvsam_engine.capture import Capture
from mvsam_engine.errors import UsageError
from mvsam_engine.photos import add_photos
from mvsam_engine.photos.sizes import USUAL_FRAMES, USUAL_PHOTO, photo_sizes
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions
from mvsam_engine.reconstruct.forecast import Machine, forecast, this_machine
from mvsam_engine.reconstruct.presets import PRESETS

MACHINE = Machine(cores=2, slowness=1.0, free_memory_mb=16000.0)
PHONE = (4000, 3000)


def seconds(count=25, machine=MACHINE, **options):
    return forecast([PHONE] * count, ReconstructOptions(**options), machine).seconds


def test_presets_are_named_in_order_of_effort_each_with_a_reason():
    assert list(PRESETS) == ["draft", "normal", "fine"]
    times = [seconds(preset=name) for name in PRESETS]
    assert times == sorted(times) and times[0] < 0.7 * times[1] < 0.5 * times[2]
    assert all(p.reason.endswith((".", "?")) for p in PRESETS.values())


def test_options_take_the_size_of_the_preset_unless_told():
    assert ReconstructOptions().size == PRESETS["normal"].max_size
    assert ReconstructOptions(preset="draft").size == PRESETS["draft"].max_size
    assert ReconstructOptions(preset="draft", max_size=700).size == 700
    with pytest.raises(UsageError, match="draft, normal, fine"):
        ReconstructOptions(preset="huge")


def test_time_grows_with_photos_and_size_and_shrinks_with_cores(tmp_path):
    assert seconds(count=400) < 1.2 * 4 * seconds(count=100)  # linear where pairs are bounded
    assert seconds(max_size=1024) > 2 * seconds()
    assert seconds(machine=replace(MACHINE, cores=8)) < 0.6 * seconds()
    assert seconds(machine=replace(MACHINE, slowness=2.0)) == pytest.approx(2 * seconds())
    assert seconds(cameras=tmp_path) < seconds() > seconds(mesh=tmp_path)


def test_memory_does_not_grow_with_the_number_of_photos():
    few, many = (forecast([PHONE] * n, ReconstructOptions(), MACHINE) for n in (5, 500))
    assert few.memory_mb == many.memory_mb
    assert few.fits and not few.advice()


def test_short_memory_is_said_with_the_preset_that_fits():
    need = forecast([PHONE] * 9, ReconstructOptions(preset="normal"), MACHINE).memory_mb
    tight = replace(MACHINE, free_memory_mb=need + 1)
    found = forecast([PHONE] * 9, ReconstructOptions(preset="fine"), tight)
    assert not found.fits and found.smaller == "normal"
    assert "choose the preset normal" in found.sentence()
    none = forecast([PHONE], ReconstructOptions(preset="draft"), replace(tight, free_memory_mb=9))
    assert not none.fits and none.smaller == "" and "close other programs" in none.sentence()
    unknown = forecast([PHONE], ReconstructOptions(), replace(tight, free_memory_mb=None))
    assert unknown.fits


def test_sizes_come_from_headers_and_nothing_is_refused(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no photo")
    (tmp_path / "c.mp4").write_bytes(b"")
    sizes = photo_sizes([tmp_path / name for name in ("a.png", "b.jpg", "c.mp4")])
    assert sizes[:2] == [(64, 48), USUAL_PHOTO]
    assert len(sizes) == 2 + USUAL_FRAMES


def test_photos_of_the_capture_count_and_it_stays_as_it_is(tmp_path):
    for name in "ab":
        Image.new("RGB", (320, 200), (9 * ord(name) % 255, 0, 0)).save(tmp_path / f"{name}.png")
    root = tmp_path / "capture"
    assert jobs.forecast_photos(root, [tmp_path / "a.png"], ReconstructOptions()).photos == 1
    assert not root.exists()
    capture = Capture.create(root)
    with capture.writing():
        add_photos(capture, [tmp_path / "a.png"], Progress())
    expected = jobs.forecast_photos(root, [tmp_path / "b.png"], ReconstructOptions())
    assert expected.photos == 2 and expected.seconds > 0
    assert len(capture.photos()) == 1


def test_this_machine_can_be_looked_at():
    machine = this_machine()
    assert machine.cores >= 1
    assert 0.05 < machine.slowness < 20
    assert machine.free_memory_mb is None or machine.free_memory_mb > 50
