# SPDX-License-Identifier: GPL-3.0-or-later
"""pip's lines as progress, and its failures as sentences. The lines are pip's own, 23.2 to 26."""

from __future__ import annotations

import pytest

from mvsam_blender.core.pip_output import PipProgress, why_failed

DOWNLOADING = """\
Looking in indexes: https://download.pytorch.org/whl/cpu
Collecting torch==2.13.0
  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (29 kB)
Collecting filelock (from torch==2.13.0)
  Using cached filelock-3.20.0-py3-none-any.whl.metadata (2.1 kB)
Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (181.3 MB)
Progress 0 of 181300000
Progress 90650000 of 181300000
"""


def fed(text):
    progress = PipProgress()
    for line in text.splitlines():
        progress.feed(line)
    return progress


def test_a_download_is_counted_in_megabytes():
    progress = fed(DOWNLOADING)
    assert progress.title == "Downloading torch: 91 of 181 MB"
    assert progress.share == pytest.approx(0.5)
    assert progress.packages == 1, "metadata is no package"


def test_without_counts_the_size_is_named():
    progress = fed("  Downloading numpy-2.4.6-cp311-cp311-linux_x86_64.whl (16.6 MB)\n")
    assert progress.title == "Downloading numpy (16.6 MB)" and progress.share == 0


def test_caches_and_folders_are_told_as_what_they_are():
    assert fed("  Using cached scipy-1.18.0-cp311-linux_x86_64.whl (35 MB)").title == (
        "Taking from the cache scipy (35 MB)"
    )
    assert fed(r"Processing c:\my wheels\opencv_python_headless-5.0-x.whl").title == (
        "Taking opencv-python-headless"
    )
    assert fed("Collecting kornia==0.9.0 (from mvsam-engine==0.1.0)").title == "Looking for kornia"


def test_what_comes_after_a_download_is_not_counted_by_it():
    progress = fed(DOWNLOADING + "Collecting sympy (from torch==2.13.0)\n")
    assert progress.title == "Looking for sympy" and progress.share == 0


def test_unpacking_comes_last_and_counts_packages():
    progress = fed(DOWNLOADING + "Installing collected packages: mpmath, sympy, torch\n")
    assert progress.title == "Unpacking 3 packages" and progress.installing
    assert progress.share == 0


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["ERROR: Could not install: [Errno 28] No space left on device: '/x'"], "disk is full"),
        (
            [
                "WARNING: Retrying after connection broken by 'NewConnectionError(...)'",
                "ERROR: Could not find a version that satisfies the requirement torch",
                "ERROR: No matching distribution found for torch",
            ],
            "could not be reached",
        ),
        (["ERROR: No matching distribution found for kornia==0.9.0"], "kornia==0.9.0 was not"),
        (["SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))"], "certificate"),
        (["ERROR: [Errno 13] Permission denied: '/x'"], "cannot be written"),
        (["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM"], "damaged"),
        (["one", "ERROR: something of its own"], "ERROR: something of its own"),
        (["Traceback", "ValueError: x"], "ValueError: x"),
        ([], "nothing"),
    ],
)
def test_failures_are_sentences(lines, words):
    assert words in why_failed(lines)
