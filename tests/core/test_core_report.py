# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's report as the preferences show it: the real one, and those of other machines."""

from __future__ import annotations

import pytest

from mvsam_blender.core.report import Row, read_report
from mvsam_engine import __version__, doctor


@pytest.fixture(scope="module")
def real():
    return doctor.report()


def rows(report):
    return {row.label: row for row in report.rows}


def test_the_real_report_is_read_whole(real):
    report = read_report(real)
    found = rows(report)
    assert found["Engine"].standing == "good" and __version__ in found["Engine"].text
    assert real["executable"] in found["Python"].text
    assert found["torch"].text == real["libraries"]["torch"]
    assert "numba" in found["Libraries"].text and "None" not in " ".join(report.summary)
    assert f"{real['disk_free_gb']} GB free" == found["Disk"].text
    assert [p.label for p in report.presets] == ["Draft", "Normal", "Fine"]
    assert any(w.label == "mvsam" and "Apache-2.0" in w.text for w in report.weights)
    assert report.optional > 0


def test_a_gpu_is_told_with_its_memory_and_driver(real):
    gpu = {"name": "H100", "memory_gb": 84.9, "free_gb": 80.1, "driver": "580.1", "cuda": "13.0"}
    report = read_report({**real, "device": "cuda", "device_name": "H100", "gpu": gpu})
    found = rows(report)
    assert found["Computes on"].text == "NVIDIA GPU, H100"
    assert found["GPU Memory"].text == "84.9 GB, 80.1 GB of it free, driver 580.1, CUDA 13.0"


def test_what_is_wrong_stands_out(real):
    libraries = {**real["libraries"], "torch": None, "numba": None}
    weights = [{"name": "x", "state": "damaged", "megabytes": 1, "licence": "MIT"}]
    presets = [{"name": "fine", "minutes": 0.5, "memory_gb": 9, "photos": 25, "fits": False}]
    changed = {"engine": "0.0.1", "device": "none", "libraries": libraries, "weights": weights}
    report = read_report({**real, **changed, "presets": presets, "problems": ["Do this."]})
    found = rows(report)
    for name in ("Engine", "torch", "Libraries", "Computes on"):
        assert found[name].standing == "bad", name
    assert f"the add-on is {__version__}" in found["Engine"].text
    assert report.weights == (Row("x", "damaged; 1 MB, MIT", "bad"),)
    assert report.presets[0].text.endswith("30 s, 9 GB for 25 photos of a phone: more than is free")
    assert report.problems == ("Do this.",)


@pytest.mark.parametrize("data", [{}, {"weights": 3, "libraries": None, "gpu": None}])
def test_an_engine_of_another_version_may_tell_less(data):
    report = read_report(data)
    assert report.rows and not report.weights and not report.presets
