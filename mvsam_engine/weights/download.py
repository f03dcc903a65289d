# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching a published checkpoint, only ever when a person asks: checked, resumable, whole."""

from __future__ import annotations

import http.client
import urllib.request
from pathlib import Path
from typing import Any

from mvsam_engine.errors import WeightsError
from mvsam_engine.progress import Progress
from mvsam_engine.weights.official import OfficialCheckpoint
from mvsam_engine.weights.store import (
    MEGABYTE,
    blocks,
    check_digest,
    digest_of,
    make_room,
    open_for_writing,
    publish,
    write,
)

TIMEOUT = 30  # seconds without a byte


def download(entry: OfficialCheckpoint, progress: Progress) -> Path:
    """Fetch a checkpoint into the folder of weights; does nothing when it is there and right.

    The bytes gather in ``<file>.part``, which stays after a break, so that the next call goes on
    where this one stopped; the file gets its name when its hash is right.

    Args:
        entry: what to fetch.
        progress: counts megabytes.

    Returns:
        The file.

    Raises:
        WeightsError: no network, the server refuses, or what came is not `entry`.
        CaptureError: the folder cannot be written to.
        Cancelled: cancellation was asked for; what has come stays for the next call.
    """
    target = entry.path
    if entry.is_here():
        with target.open("rb") as file:
            if digest_of(file, progress, f"Checking {entry.name}", entry.size) == entry.sha256:
                return target
    partial = target.with_name(target.name + ".part")
    have = partial.stat().st_size if partial.is_file() else 0
    if have > entry.size:
        have = 0
    make_room(target, entry.size - have)
    if have < entry.size:
        try:
            _fetch(entry, partial, have, progress)
        except (OSError, http.client.HTTPException) as error:  # of the disk: CaptureError
            raise _unreachable(entry, str(getattr(error, "reason", error) or error)) from error
    _check(entry, partial, progress)
    publish(partial, target)
    return target


def _fetch(entry: OfficialCheckpoint, partial: Path, have: int, progress: Progress) -> None:
    """Append what is missing to `partial`; starts over when the server cannot go on."""
    # The address is the catalogue's, never a person's or a file's.
    request = urllib.request.Request(entry.url, headers={"User-Agent": "mvsam"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
        if not _goes_on(response, have):
            have = 0
        progress.stage(f"Fetching {entry.name}, MB", -(-entry.size // MEGABYTE))
        progress.step(have // MEGABYTE)
        with open_for_writing(partial, "ab" if have else "wb") as out:
            for block in blocks(response):
                have += len(block)
                if have > entry.size:
                    break  # the hash will say that this is something else
                write(out, block, partial)
                progress.step()
    if have < entry.size:
        raise _unreachable(entry, f"the connection ended after {have:,} of {entry.size:,} bytes")


def _goes_on(response: Any, have: int) -> bool:
    """Whether the server sends the file from byte `have` on, not from its beginning."""
    answer = response.headers.get("Content-Range", "")
    return response.status == http.client.PARTIAL_CONTENT and answer.startswith(f"bytes {have}-")


def _check(entry: OfficialCheckpoint, partial: Path, progress: Progress) -> None:
    """Refuse, and remove, a complete file of another hash."""
    with partial.open("rb") as file:
        digest = digest_of(file, progress, f"Checking {entry.name}", partial.stat().st_size)
    try:
        check_digest(entry, partial, digest)
    except WeightsError:
        partial.unlink(missing_ok=True)
        raise


def _unreachable(entry: OfficialCheckpoint, why: str) -> WeightsError:
    return WeightsError(
        "weights.network",
        f"{entry.url} cannot be fetched: {why}.",
        f"Run `mvsam weights get {entry.name}` again to go on, or fetch the file elsewhere and run "
        f"`mvsam weights add {entry.name} FILE`.",
    )
