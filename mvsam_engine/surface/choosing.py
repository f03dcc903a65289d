# SPDX-License-Identifier: GPL-3.0-or-later
"""Which photo each face takes its detail from, and what each place looks like to all of them.

The photo that shows a face largest is taken, unless its neighbours take another that is nearly as
good: fewer seams (the data term and pairwise term of Lempitsky and Ivanov, Seamless Mosaicing of
Image-Based Texture Maps, CVPR 2007, minimised here by iterated conditional modes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

# What the agreement of all three neighbours is worth, as a share of the best photo's score.
_AGREEMENT = 0.6
_ROUNDS = 12
# Colours this far (0..255) from what most photos show are something else: a misplaced edge, a
# reflection, what a mask has too much.
_FAR = 35.0
# Rounds of averaging along the mesh that level the seams, and that spread colour into holes.
_LEVELLING, _SPREADING = 10, 40


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """What the photos agree on at the vertices.

    Attributes:
        color: [v, 3] float32 0..255; of vertices that no photo sees, what is nearby.
        offset: [v, views, 3] float32 to add to a photo's colours so that seams are level; smooth
            along the mesh.
        share: [v, views] float32, how much of its detail each vertex takes from each photo, in
            all 1; 0 where no photo sees it.
        seen: [v] whether any photo sees it.
    """

    color: NDArray[np.float32]
    offset: NDArray[np.float32]
    share: NDArray[np.float32]
    seen: NDArray[np.bool_]


def agree(
    vertices: NDArray[np.floating],
    faces: NDArray[np.int32],
    colors: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> Consensus:
    """Find what the photos agree on, and which of them shows each face.

    Args:
        vertices: [v, 3].
        faces: [m, 3].
        colors: [v, views, 3] 0..255, exposure evened.
        weights: [v, views] what each photo is worth at each vertex, 0 where it does not see it.
    """
    mean = _mean(colors, weights)
    for _ in range(2):
        distance = ((colors - mean[:, None]) ** 2).sum(axis=2)
        worth = weights * np.exp(-distance / (2 * _FAR**2)) + 1e-6 * weights
        mean = _mean(colors, worth)
    average = _averaging(faces, len(vertices))
    seen = weights.max(axis=1) > 0
    chosen = _choose(faces, worth)
    return Consensus(
        color=_spread(vertices, mean, seen, average),
        offset=_offsets(mean[:, None] - colors, worth, average),
        share=_vertex_share(faces, chosen, weights.shape),
        seen=seen,
    )


def _mean(colors: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.einsum("vij,vi->vj", colors, weights)
    return total / np.maximum(weights.sum(axis=1), 1e-12)[:, None]


def _averaging(faces: NDArray[np.int32], count: int) -> sparse.csr_matrix:
    """[v, v] rows of each vertex and its neighbours, without weights."""
    a = faces[:, [0, 1, 1, 2, 2, 0]].ravel()
    b = faces[:, [1, 0, 2, 1, 0, 2]].ravel()
    graph = sparse.coo_matrix((np.ones(len(a), np.float32), (a, b)), (count, count)).tocsr()
    graph.data[:] = 1.0
    return (graph + sparse.identity(count, np.float32)).tocsr()


def _choose(faces: NDArray[np.int32], worth: NDArray[np.float32]) -> NDArray[np.int64]:
    """Photo of each face, -1 where none sees all of it."""
    score = worth[faces].min(axis=1)
    best = score.max(axis=1, keepdims=True)
    score /= np.maximum(best, 1e-12)
    chosen = score.argmax(axis=1)
    neighbours = _face_neighbours(faces)
    degree = np.maximum(np.asarray(neighbours.sum(axis=1)), 1.0)
    for turn in range(_ROUNDS):
        picked = sparse.coo_matrix(
            (np.ones(len(faces), np.float32), (np.arange(len(faces)), chosen)), score.shape
        )
        agreement = np.asarray((neighbours @ picked.tocsr()).todense()) / degree
        better = np.where(score > 0, score + _AGREEMENT * agreement, -1.0).argmax(axis=1)
        # Every other face at a time, lest two neighbours swap for ever.
        change = (np.arange(len(faces)) + turn) % 2 == 0
        chosen = np.where(change, better, chosen)
    return np.where(best[:, 0] > 0, chosen, -1)


def _face_neighbours(faces: NDArray[np.int32]) -> sparse.csr_matrix:
    """[m, m] which faces share an edge."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    number = np.unique(edges, axis=0, return_inverse=True)[1].ravel()
    face = np.repeat(np.arange(len(faces)), 3)
    touches = sparse.coo_matrix((np.ones(len(face), np.float32), (face, number))).tocsr()
    shared = (touches @ touches.T).tolil()
    shared.setdiag(0)
    return shared.tocsr()


def _vertex_share(
    faces: NDArray[np.int32], chosen: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Share [v, views] of each photo among the faces around each vertex: seams fade over a face."""
    share = np.zeros(shape, np.float32)
    known = chosen >= 0
    for corner in range(3):
        np.add.at(share, (faces[known, corner], chosen[known]), 1.0)
    return share / np.maximum(share.sum(axis=1, keepdims=True), 1.0)


def _offsets(
    difference: NDArray[np.float32], worth: NDArray[np.float32], average: sparse.csr_matrix
) -> NDArray[np.float32]:
    """Differences [v, views, 3] averaged along the mesh, from where they are known."""
    count, views, _ = difference.shape
    weight = (worth > 0).astype(np.float32)
    total = (difference * weight[..., None]).reshape(count, -1)
    for _ in range(_LEVELLING):
        total, weight = average @ total, average @ weight
        # Only the ratio counts: keep the sums in range.
        largest = np.maximum(weight.max(axis=1, keepdims=True), 1e-12)
        total, weight = total / largest, weight / largest
    level = total.reshape(count, views, 3) / np.maximum(weight, 1e-6)[..., None]
    return np.where(weight[..., None] > 1e-6, level, 0.0).astype(np.float32)


def _spread(
    vertices: NDArray[np.floating],
    color: NDArray[np.float32],
    seen: NDArray[np.bool_],
    average: sparse.csr_matrix,
) -> NDArray[np.float32]:
    """Colours of unseen vertices from the nearest seen ones, then smooth among themselves."""
    if seen.all() or not seen.any():
        return color.astype(np.float32)
    near = cKDTree(vertices[seen]).query(vertices[~seen], k=min(8, int(seen.sum())))[1]
    filled = color.copy()
    filled[~seen] = color[seen][near.reshape(int((~seen).sum()), -1)].mean(axis=1)
    rows = average[~seen]
    degree = np.asarray(rows.sum(axis=1))
    for _ in range(_SPREADING):
        filled[~seen] = (rows @ filled) / degree
    return filled.astype(np.float32)
