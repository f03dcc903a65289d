# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a person waits after a click, through the whole engine as the add-on uses it.

    python benchmarks/click_latency.py CAPTURE --click VIEW:x,y --click VIEW:x,y ...

Starts `mvsam serve`, prepares the capture (embeddings are cached on disk), then gives one click
after the other to a new object and prints for each: seconds until the clicked view's own mask lies
in the capture, and until all masks and weights do. Works on a copy, so the capture stays as it is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from mvsam_engine import protocol as p
from mvsam_engine.capture import SceneObject
from mvsam_engine.capture.schema import object_to_json
from mvsam_engine.commands.prompts import parse_point
from mvsam_engine.fields import JsonObject


class Engine:
    """A warm engine process, asked one thing at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-u", "-m", "mvsam_engine", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._requests = 0

    def ask(self, method: str, params: JsonObject) -> tuple[float | None, float]:
        """Seconds to the first `view_answered` (None without one) and to the result.

        Raises:
            SystemExit: the engine refused, with its sentence.
        """
        self._requests += 1
        began, first = time.monotonic(), None
        self._process.stdin.write(p.encode(p.Request(self._requests, method, params)))
        self._process.stdin.flush()
        for line in self._process.stdout:
            message = p.decode_answer(line)
            if isinstance(message, p.ViewAnsweredNote) and first is None:
                first = time.monotonic() - began
            if isinstance(message, p.Response):
                if message.error is not None:
                    raise SystemExit(f"{message.error.message} {message.error.remedy}")
                return first, time.monotonic() - began
        raise SystemExit("The engine ended.")

    def close(self) -> None:
        """End the engine."""
        self._process.stdin.close()
        self._process.wait(30)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--click", action="append", required=True, metavar="VIEW:x,y[:-]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mvsam-latency-") as folder:
        root = Path(folder) / "capture"
        shutil.copytree(given.capture, root)
        engine = Engine()
        _, ready = engine.ask("prepare", p.to_json(p.PrepareParams(str(root))))
        print(f"prepare: {ready:.2f} s")
        item = SceneObject("benchmark", "benchmark")
        for number, click in enumerate(given.click, start=1):
            prompts = (*item.prompts, parse_point(click))
            item = replace(item, prompts=prompts, revision=number)
            params = p.SegmentParams(str(root), object_to_json(item))
            first, total = engine.ask("segment", p.to_json(params))
            print(f"click {number} ({click}): own mask {first:.2f} s, all masks {total:.2f} s")
        engine.close()


if __name__ == "__main__":
    main()
