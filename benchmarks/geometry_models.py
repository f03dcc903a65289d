# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and memory of a geometry model by number of photos, with random weights.

    python benchmarks/geometry_models.py da3-small --views 4 8 --device cpu

Each number of photos runs in a process of its own; memory is the largest of that process, or of
the GPU. Random weights take as long as trained ones.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch

from mvsam_engine.reconstruct.neural.backends import da3, pi3, vggt
from mvsam_engine.reconstruct.neural.framing import frame_photos
from mvsam_engine.reconstruct.neural.nets import pi3 as pi3_net
from mvsam_engine.reconstruct.neural.nets import vggt as vggt_net
from mvsam_engine.reconstruct.neural.plan import pick_device

MAKERS = {
    **{
        f"da3-{size}": lambda size=size: da3.make(da3.SHAPES[size], size, da3.MEMORY[size])
        for size in ("small", "base", "large")
    },
    "vggt": lambda: vggt.make(vggt_net.PUBLISHED),
    "pi3": lambda: pi3.make(pi3_net.PUBLISHED),
}


def measure(name: str, views: int, device: str) -> dict[str, object]:
    """One run, after a small one that warms up."""
    where = pick_device(device)
    with torch.inference_mode():
        model = MAKERS[name]()
        for tensor in model._network.parameters():
            torch.nn.init.normal_(tensor, std=0.02)
    model.to(where.name, where.precision)
    framing = frame_photos([(4000, 3000)] * views, model.needs)[0]
    shape = (framing.height, framing.width, 3)
    images = np.random.default_rng(0).integers(0, 255, (views, *shape), np.uint8)
    model.answer(images[:1, :140, :140])
    began, work = time.perf_counter(), time.process_time()
    model.answer(images)
    seconds, work = time.perf_counter() - began, time.process_time() - work
    if where.name == "cuda":
        memory = torch.cuda.max_memory_allocated() / 1e6
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {
        "model": name,
        "views": views,
        "size": f"{framing.width}x{framing.height}",
        "device": where.name if where.name == "cpu" else torch.cuda.get_device_name(),
        "precision": where.precision,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(work, 1),
        "memory_mb": round(memory),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", choices=MAKERS)
    parser.add_argument("--views", nargs="+", type=int, default=[4, 8])
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    if len(given.models) == len(given.views) == 1:
        print(json.dumps(measure(given.models[0], given.views[0], given.device)), flush=True)
        return
    for model in given.models:
        for views in given.views:
            command = [sys.executable, __file__, model, "--views", str(views)]
            subprocess.run([*command, "--device", given.device], check=False)


if __name__ == "__main__":
    main()
