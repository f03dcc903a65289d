# SPDX-License-Identifier: GPL-3.0-or-later
"""More photos than memory allows: runs that overlap, and smaller plans when memory ends."""

from __future__ import annotations

import numpy as np
import pytest
from perfect_model import PerfectModel, code_capture, room_ring
from test_neural_adapter import Told, compare, run

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.neural.answer import MemoryNeeds
from mvsam_engine.reconstruct.neural.joining import robust_similarity, windows
from mvsam_engine.reconstruct.neural.plan import Device, is_out_of_memory, plans
from mvsam_engine.reconstruct.similarity import Similarity, align


@pytest.mark.parametrize(("count", "most"), [(5, 8), (8, 8), (9, 8), (100, 16), (7, 3), (501, 40)])
def test_windows_cover_all_photos_and_overlap(count, most):
    found = windows(count, most)
    assert sorted({i for w in found for i in w.members}) == list(range(count))
    assert not found[0].shared
    for window in found:
        assert len(window.members) <= most
    for window in found[1:]:
        assert len(window.shared) >= 2 and len(window.members) == most


def test_weights_of_one_align_as_without():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(2, 30, 3))
    plain, weighted = align(source, target), align(source, target, np.ones(30))
    assert np.allclose(plain.rotation, weighted.rotation) and np.isclose(
        plain.scale, weighted.scale
    )
    assert np.allclose(plain.translation, weighted.translation)
    # A weight of two is the pair twice.
    twice = np.concatenate([np.arange(30), [4]])
    weights = np.ones(30)
    weights[4] = 2
    double, again = align(source[twice], target[twice]), align(source, target, weights)
    assert np.allclose(double.translation, again.translation)
    assert np.allclose(double.rotation, again.rotation)


def test_a_similarity_is_found_although_a_third_of_the_points_is_wrong():
    random = np.random.default_rng(1)
    source = random.normal(size=(900, 3)) + np.array([0.0, 0.0, 6.0])
    q, _ = np.linalg.qr(random.normal(size=(3, 3)))
    true = Similarity(2.5, q * np.sign(np.linalg.det(q)), np.array([1.0, -2.0, 3.0]))
    target = true.apply(source)
    depth = target[:, 2] - target[:, 2].min() + 5
    target[:300] += random.normal(size=(300, 3)) * 6
    found, off = robust_similarity(source, target, np.ones(900), depth)
    assert found.scale == pytest.approx(2.5, rel=1e-3)
    assert np.allclose(found.rotation, true.rotation, atol=1e-3)
    assert off < 1e-3


@pytest.mark.parametrize("gives", ["depth", "world"])
def test_runs_of_another_scale_each_become_one_world(gives, tmp_path):
    truth = room_ring(14)
    capture = code_capture(tmp_path, truth)
    model = PerfectModel(truth, gives, noise=0.002, out_of_memory=6)
    told = Told()
    result = run(capture, model, told)
    found = compare(capture, truth)
    assert len(result.cameras) == 14
    assert all(len(members) <= 6 for members in model.ran) and len(model.ran) >= 3
    assert found["degrees"] < 0.3 and found["centers"] < 0.03 and found["median"] < 0.004
    assert "all 14 photos at once" in told.said[0]  # aloud, each time
    assert "now 6 photos at a time" in told.said[-1]
    assert result.settings["window"] == 6 and result.settings["seam"] < 0.02


def test_when_even_three_photos_are_too_many_it_is_refused(tmp_path):
    truth = room_ring(5)
    capture = code_capture(tmp_path, truth)
    model = PerfectModel(truth, out_of_memory=2)
    with pytest.raises(ReconstructionError, match="even for three photos"):
        run(capture, model)
    assert capture.reconstruction() is None


def test_runs_that_contradict_each_other_are_refused(tmp_path):
    truth = room_ring(9)
    capture = code_capture(tmp_path, truth)
    model = PerfectModel(truth, out_of_memory=4)
    right = model.answer

    def bent(images):
        answer = right(images)
        if len(model.ran) > 1:
            stretched = answer.points * np.random.default_rng(3).uniform(
                0.2, 3, (*answer.points.shape[:1], 1, 1, 1)
            )
            object.__setattr__(answer, "points", stretched.astype(np.float32))
        return answer

    model.answer = bent
    with pytest.raises(ReconstructionError, match="contradict"):
        run(capture, model)


def test_plans_begin_with_what_fits_and_grow_smaller():
    memory = MemoryNeeds(weights=400, base=100, per_view=100, usual_pixels=1000)
    gpu = Device("cuda", "bfloat16", 8000.0)
    found = list(plans(200, 1000, 500, memory, gpu))
    # 0.85 * 8000 = 6800 MB; half precision: 200 + 50 n + 100.
    assert 110 <= found[0].window <= 130
    assert memory.megabytes(found[0].window, 1000, 2) <= 6800
    windows_ = [plan.window for plan in found]
    assert windows_ == sorted(windows_, reverse=True) and windows_[-1] == 3
    assert found[-1].long_side < found[0].long_side
    alone = list(plans(200, 1000, 500, memory, Device("cpu", "float32", None)))
    assert alone[0].window == 200 and alone[0].precision == "float32"
    one = list(plans(1, 1000, 500, memory, gpu))
    assert one[0].window == 1


def test_the_end_of_memory_is_told_from_other_errors():
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
