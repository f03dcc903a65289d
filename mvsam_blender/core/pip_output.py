# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip prints, as progress that a person can follow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_RAW = re.compile(r"Progress (\d+) of (\d+)\s*$")
_COLLECTING = re.compile(r"Collecting ([A-Za-z0-9][\w.-]*)")
_FETCHING = re.compile(r"(Downloading|Using cached) (\S+)(?: \(([\d.]+ ?[kMG]?B)\))?")
_LOCAL = re.compile(r"Processing (\S.*\.(?:whl|tar\.gz|zip))")
_INSTALLING = re.compile(r"Installing collected packages: (.+)")


@dataclass(slots=True)
class PipProgress:
    """Follows the lines of one pip run.

    Attributes:
        text: what pip is at, for people.
        done: bytes of the present download.
        total: its size in bytes, 0 when pip does not count.
        packages: packages met so far.
        installing: whether everything is there and is now being unpacked.
    """

    text: str = "Asking for packages"
    done: int = 0
    total: int = 0
    packages: int = 0
    installing: bool = False
    _seen: set[str] = field(default_factory=set[str])

    def feed(self, line: str) -> None:
        """Take one line."""
        line = line.strip()
        raw = _RAW.match(line)
        if raw:
            self.done, self.total = int(raw[1]), int(raw[2])
            return
        installing = _INSTALLING.match(line)
        if installing:
            self.installing = True
            self.packages = len(installing[1].split(","))
            self.done = self.total = 0
            self.text = f"Unpacking {self.packages} packages"
            return
        fetching = _FETCHING.match(line)
        if fetching and not line.endswith(".metadata") and ".metadata (" not in line:
            name = _package(fetching[2])
            self._meet(name)
            self.done = self.total = 0
            size = f" ({fetching[3]})" if fetching[3] else ""
            verb = "Downloading" if fetching[1] == "Downloading" else "Taking from the cache"
            self.text = f"{verb} {name}{size}"
            return
        local = _LOCAL.match(line)
        if local:
            self._meet(_package(local[1]))
            self.text = f"Taking {_package(local[1])}"
            return
        collecting = _COLLECTING.match(line)
        if collecting:
            self.done = self.total = 0
            self.text = f"Looking for {collecting[1]}"

    def _meet(self, name: str) -> None:
        self._seen.add(name)
        self.packages = len(self._seen)

    @property
    def title(self) -> str:
        """What is going on, with its count."""
        if self.total:
            name = re.sub(r" \([^)]*\)$", "", self.text)
            return f"{name}: {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
        return self.text

    @property
    def share(self) -> float:
        """Part of the present download that is done, 0 when pip does not count."""
        return min(self.done / self.total, 1.0) if self.total else 0.0


def _package(where: str) -> str:
    """The package's name from an address or path of its file."""
    name = PurePosixPath(where.replace("\\", "/")).name
    return name.split("-")[0].replace("_", "-")


_REASONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"No space left on device|not enough space", re.I),
        "The disk is full. Free some space, or choose another folder.",
    ),
    (
        re.compile(r"No matching distribution found for (\S+)"),
        "{0} was not found. An offline folder must hold it and all others for this Python and "
        "system; online, the package index may lack it for this Python.",
    ),
    (
        re.compile(
            r"Could not fetch URL|ConnectionError|NewConnectionError|Temporary failure in name|"
            r"ReadTimeoutError|ConnectTimeoutError|Network is unreachable|getaddrinfo failed",
            re.I,
        ),
        "The package index could not be reached. Check the connection, or install from an offline "
        "folder.",
    ),
    (
        re.compile(r"SSL: CERTIFICATE_VERIFY_FAILED|SSLError"),
        "The connection is not trusted (certificate). Your network may need its own certificate: "
        "see pip's setting `cert`.",
    ),
    (
        re.compile(r"THESE PACKAGES DO NOT MATCH THE HASHES"),
        "A download was damaged. Try again.",
    ),
    (
        re.compile(r"Permission denied|Access is denied", re.I),
        "The folder cannot be written to. Choose another one.",
    ),
)


def why_failed(lines: list[str]) -> str:
    """What went wrong in a run of pip that failed, with what to do, as far as it is known."""
    text = "\n".join(lines)
    # pip tells of failed connections first, and then that nothing was found.
    for pattern, words in (*_REASONS[:1], *_REASONS[2:4], _REASONS[1], *_REASONS[4:]):
        found = pattern.search(text)
        if found:
            return words.format(*found.groups())
    errors = [line.strip() for line in lines if line.strip().lower().startswith("error")]
    return errors[-1] if errors else (lines[-1].strip() if lines else "It said nothing.")
