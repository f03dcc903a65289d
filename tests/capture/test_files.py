# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole files, atomic changes, safe names: also when the disk or the process fails."""

import errno
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvsam_engine.capture import files
from mvsam_engine.errors import CaptureError


def snapshot(root):
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and p.name != files.LOCK
    }


@pytest.mark.parametrize(
    "name",
    ["a/b", "..", ".", "", ".hidden", "con", "NUL.txt", "a:b", "a\nb", "x" * 201, " a", "a."],
)
def test_unsafe_names(name):
    assert not files.is_safe_name(name)
    assert files.is_safe_name(files.safe_name(name))


@pytest.mark.parametrize("name", ["IMG 0042", "Käse-Foto (1)", "写真", "a.b", "console", "🙂"])
def test_people_keep_their_names(name):
    assert files.safe_name(name) == name


@given(st.text(max_size=400))
def test_any_text_becomes_a_safe_name(text):
    assert files.is_safe_name(files.safe_name(text))


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "a//../x", "", "C:/x", "a\\..\\x"]
)
def test_paths_that_leave_the_folder_are_refused(tmp_path, path):
    with pytest.raises(CaptureError, match="does not stay inside"):
        files.inside(tmp_path, path)


def test_links_that_lead_outside_are_refused(tmp_path):
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture" / "photos").symlink_to(tmp_path)
    with pytest.raises(CaptureError):
        files.inside(tmp_path / "capture", "photos/secret.txt")


def test_transaction_commits_everything(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x").write_bytes(b"old")
    with files.Transaction(tmp_path) as transaction:
        transaction.delete("old")
        transaction.write("old/y", b"new")
        transaction.write("a.json", b"{}")
        assert not (tmp_path / "a.json").exists()
    assert snapshot(tmp_path) == {"old/y": b"new", "a.json": b"{}"}
    assert not list((tmp_path / files.STAGING).iterdir())


def test_transaction_discards_on_error(tmp_path):
    (tmp_path / "keep").write_bytes(b"1")
    with pytest.raises(RuntimeError), files.Transaction(tmp_path) as transaction:
        transaction.delete("keep")
        transaction.write("new", b"2")
        raise RuntimeError
    assert snapshot(tmp_path) == {"keep": b"1"}


def test_full_disk_is_a_sentence_and_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    expected = pytest.raises(CaptureError, match="no space left")
    with expected as caught, files.Transaction(tmp_path) as transaction:
        for name in "abcd":
            transaction.write(name, b"new")
    assert caught.value.code == "disk.full"
    assert snapshot(tmp_path) == {"a": b"old"}


KILLED = """
import os, sys
from pathlib import Path
from mvsam_engine.capture import files
root, limit = Path(sys.argv[1]), int(sys.argv[2])
count = 0
def counted(function):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == limit:
            os._exit(9)
        return function(*args, **kwargs)
    return call
Path.replace = counted(Path.replace)
Path.unlink = counted(Path.unlink)
files.shutil.rmtree = counted(files.shutil.rmtree)
with files.Transaction(root) as t:
    t.delete("folder")
    t.delete("gone")
    for name in ("a", "b", "folder/c"):
        t.write(name, b"new")
"""


@pytest.mark.parametrize("limit", range(1, 16))
def test_killed_at_any_rename_leaves_old_or_new(tmp_path, limit):
    """The process dies at the limit-th rename or removal; the next writer sees old or new."""
    (tmp_path / "folder").mkdir()
    old = {"a": b"old", "gone": b"old", "folder/d": b"old"}
    new = {"a": b"new", "b": b"new", "folder/c": b"new"}
    for name, data in old.items():
        (tmp_path / name).write_bytes(data)
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(limit)], check=False)
    with files.writer_lock(tmp_path):
        files.recover(tmp_path)
    assert snapshot(tmp_path) in (old, new)


def test_a_journal_cannot_write_outside(tmp_path):
    root = tmp_path / "capture"
    staging = root / files.STAGING / "x"
    staging.mkdir(parents=True)
    (staging / files.JOURNAL).write_text(json.dumps({"moves": [], "deletes": ["../precious"]}))
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(CaptureError):
        files.recover(root)
    assert (tmp_path / "precious").read_text() == "mine"


def test_second_writer_is_told(tmp_path):
    code = "import sys; from pathlib import Path; from mvsam_engine.capture.files import *\n"
    code += "with writer_lock(Path(sys.argv[1])): pass"
    with files.writer_lock(tmp_path):
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
        )
    words = rf"\w+ \(process {os.getpid()}, since [-0-9: ]+\) is working on the capture"
    assert re.search(words, other.stderr), other.stderr
    with files.writer_lock(tmp_path):
        pass


def test_read_only_folder_is_a_sentence(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(CaptureError, match="cannot be written"):
        files.write_atomic(tmp_path / "sub" / "a", b"")


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not an array", b"\x93NUMPY\x01\x00v\x00{"])
def test_damaged_array_is_a_sentence(tmp_path, damage):
    (tmp_path / "a.npy").write_bytes(damage)
    with pytest.raises(CaptureError, match="missing or damaged"):
        files.read_array(tmp_path / "a.npy", np.float32, (None,))


def test_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CaptureError):
        files.read_array(tmp_path / "a.npy", np.float32, (None,))


def test_array_of_another_kind_is_refused(tmp_path):
    files.write_atomic(tmp_path / "a.npy", files.array_bytes(np.zeros((2, 3), np.float64)))
    with pytest.raises(CaptureError, match="float32"):
        files.read_array(tmp_path / "a.npy", np.float32, (2, 3))
    with pytest.raises(CaptureError, match="shape"):
        files.read_array(tmp_path / "a.npy", np.float64, (2, 4))
    assert files.read_array(tmp_path / "a.npy", np.float64, (None, 3)).shape == (2, 3)
