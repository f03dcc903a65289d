# SPDX-License-Identifier: GPL-3.0-or-later
"""Published checkpoints that a person may add: where they are, what they must be.

Nothing here reaches the network; `mvsam_engine.weights.download` does, when it is asked to.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.weights.find import find_entry


@dataclass(frozen=True, slots=True)
class OfficialCheckpoint:
    """One checkpoint as its authors published it.

    Attributes:
        name: how it is called here, safe as a file name.
        purpose: what it is good for, in a few words.
        size: bytes of the file; about so many where `sha256` is "".
        license: name of the licence.
        sha256: of the file, hexadecimal; "" where no public source tells it, and the file is
            known by its tensors instead.
        url: where its authors publish it.
        commercial: whether the licence allows commercial use.
        needs: memory that a run takes, in words.
        gated: its site asks for a form first, so only a person can fetch it.
    """

    name: str
    purpose: str
    size: int
    license: str
    sha256: str
    url: str
    commercial: bool = True
    needs: str = ""
    gated: bool = False

    @property
    def path(self) -> Path:
        """Where the file is or would be, under its published name if that tells what it is."""
        published = self.url.rsplit("/", 1)[-1]
        generic = published.startswith(("model.", "pytorch_model."))
        return weights_folder() / (self.name + Path(published).suffix if generic else published)

    @property
    def key(self) -> str:
        """Name and the first hash digits: changes whenever the weights do."""
        return f"{self.name}-{self.sha256[:8] or 'unpinned'}"

    @property
    def terms(self) -> str:
        """The licence, and what it means, in words."""
        use = "commercial use allowed" if self.commercial else "not for commercial use"
        return f"{self.license}: {use}"

    def is_here(self) -> bool:
        """Whether a file of the right size is there; its content is checked when it is read."""
        return self.path.is_file() and (not self.sha256 or self.path.stat().st_size == self.size)


_SAM = "https://dl.fbaipublicfiles.com/segment_anything/"
_SAM2 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"

# Sizes and hashes are those that several public projects measured on the published files. (The
# digits in the names of SAM's files are from their MD5, not from their SHA-256.)
SAM_CHECKPOINTS: tuple[OfficialCheckpoint, ...] = (
    OfficialCheckpoint(
        name="sam-vit-b",
        purpose="image encoder and decoder of SAM, base",
        size=375_042_383,
        license="Apache-2.0",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        url=_SAM + "sam_vit_b_01ec64.pth",
    ),
    OfficialCheckpoint(
        name="sam-vit-l",
        purpose="image encoder and decoder of SAM, large",
        size=1_249_524_607,
        license="Apache-2.0",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        url=_SAM + "sam_vit_l_0b3195.pth",
    ),
    OfficialCheckpoint(
        name="sam-vit-h",
        purpose="image encoder and decoder of SAM, huge",
        size=2_564_550_879,
        license="Apache-2.0",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        url=_SAM + "sam_vit_h_4b8939.pth",
    ),
    OfficialCheckpoint(
        name="sam2.1-hiera-t",
        purpose="image encoder and decoder of SAM 2.1, tiny",
        size=156_008_466,
        license="Apache-2.0",
        sha256="7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        url=_SAM2 + "sam2.1_hiera_tiny.pt",
    ),
    OfficialCheckpoint(
        name="sam2.1-hiera-s",
        purpose="image encoder and decoder of SAM 2.1, small",
        size=184_416_285,
        license="Apache-2.0",
        sha256="6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        url=_SAM2 + "sam2.1_hiera_small.pt",
    ),
    OfficialCheckpoint(
        name="sam2.1-hiera-b+",
        purpose="image encoder and decoder of SAM 2.1, base plus",
        size=323_606_802,
        license="Apache-2.0",
        sha256="a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        url=_SAM2 + "sam2.1_hiera_base_plus.pt",
    ),
    OfficialCheckpoint(
        name="sam2.1-hiera-l",
        purpose="image encoder and decoder of SAM 2.1, large",
        size=898_083_611,
        license="Apache-2.0",
        sha256="2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        url=_SAM2 + "sam2.1_hiera_large.pt",
    ),
)


_HUB = "https://huggingface.co/"

# The numbers of `needs` are for full-size photos; docs/models.md has where they come from.
GEOMETRY_CHECKPOINTS: tuple[OfficialCheckpoint, ...] = (
    OfficialCheckpoint(
        name="da3-small",
        purpose="cameras and points from photos: Depth Anything 3, small",
        size=137_248_940,
        license="Apache-2.0",
        sha256="364492e38a3a06d221ac75da7f6621ada3f2361cd24fde11ba79091e9f40efcf",
        url=_HUB + "depth-anything/DA3-SMALL/resolve/main/model.safetensors",
        needs="0.4 GB and 0.1 GB a photo; runs on a CPU",
    ),
    OfficialCheckpoint(
        name="da3-base",
        purpose="cameras and points from photos: Depth Anything 3, base (recommended)",
        size=541_518_028,
        license="Apache-2.0",
        sha256="e01067dc1659613083d9145a9a2547ccdbe6ccbbf83c4fe7b3e8a4e2bdae78b5",
        url=_HUB + "depth-anything/DA3-BASE/resolve/main/model.safetensors",
        needs="0.8 GB and 0.2 GB a photo; runs on a CPU",
    ),
    OfficialCheckpoint(
        name="da3-large",
        purpose="cameras and points from photos: Depth Anything 3, large",
        size=1_643_000_000,
        license="CC BY-NC 4.0",
        sha256="",
        url=_HUB + "depth-anything/DA3-LARGE/resolve/main/model.safetensors",
        commercial=False,
        needs="2.3 GB and 0.35 GB a photo; half of that on a GPU",
    ),
    OfficialCheckpoint(
        name="vggt",
        purpose="cameras and points from photos: VGGT-1B",
        size=5_026_367_224,
        license="CC BY-NC 4.0",
        sha256="f164acf60724910d8fe1578bb499d800850c7bb0948db7555c413f9fbe60467e",
        url=_HUB + "facebook/VGGT-1B/resolve/main/model.safetensors",
        commercial=False,
        needs="6 GB and 0.4 GB a photo; half of that on a GPU",
    ),
    OfficialCheckpoint(
        name="vggt-commercial",
        purpose="cameras and points from photos: VGGT-1B, for commercial use too",
        size=5_026_367_224,
        license="VGGT License v1 (no military use)",
        sha256="2b766b284359bc47ce26be107254621f685b758a0282082ff109f3ff02788b53",
        url=_HUB + "facebook/VGGT-1B-Commercial/resolve/main/model.safetensors",
        needs="6 GB and 0.4 GB a photo; half of that on a GPU",
        gated=True,
    ),
    OfficialCheckpoint(
        name="pi3",
        purpose="cameras and points from photos: pi-3",
        size=3_835_000_000,
        license="CC BY-NC 4.0",
        sha256="",
        url=_HUB + "yyfz233/Pi3/resolve/main/model.safetensors",
        commercial=False,
        needs="4.5 GB and 0.2 GB a photo; half of that on a GPU",
    ),
    OfficialCheckpoint(
        name="dust3r",
        purpose="cameras and points from photos: DUSt3R, with your copy of its code",
        size=2_285_000_000,
        license="CC BY-NC-SA 4.0",
        sha256="",
        url=_HUB + "naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt/resolve/main/model.safetensors",
        commercial=False,
        needs="4 GB, whatever the number of photos; time grows with the pairs",
    ),
    OfficialCheckpoint(
        name="mast3r",
        purpose="cameras and points from photos, in metres: MASt3R, with your copy of its code",
        size=2_755_000_000,
        license="CC BY-NC-SA 4.0",
        sha256="",
        url=_HUB
        + "naver/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric/resolve/main/model.safetensors",
        commercial=False,
        needs="5 GB, whatever the number of photos; time grows with the pairs",
    ),
)

CHECKPOINTS = SAM_CHECKPOINTS + GEOMETRY_CHECKPOINTS


def weights_folder() -> Path:
    """The folder of added weights: $MVSAM_WEIGHTS, or the person's data folder of this system."""
    chosen = os.environ.get("MVSAM_WEIGHTS")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "mvsam" / "weights"


def find_checkpoint(name: str) -> OfficialCheckpoint:
    """The entry of `CHECKPOINTS` called `name`.

    Raises:
        WeightsError: there is none; the message names those that exist.
    """
    return find_entry(CHECKPOINTS, name, " to add or get")
