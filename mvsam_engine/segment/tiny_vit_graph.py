# SPDX-License-Identifier: GPL-3.0-or-later
"""The TinyViT image encoder of MobileSAM as an ONNX graph, from kornia's module.

Follows `kornia.models.tiny_vit.TinyViT` operator by operator (architecture: TinyViT,
https://arxiv.org/abs/2207.10666; MobileSAM, https://arxiv.org/abs/2306.14289), with batch norms
folded into their convolutions, attention biases expanded and the attention scale folded into the
query projection. Feature maps are NCHW between convolutions and NHWC between attention layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.segment.onnx_file import GraphBuilder

if TYPE_CHECKING:
    from torch import Tensor

INPUT, INPUT_SHAPE = "image", (1, 3, 1024, 1024)
OUTPUT_SHAPE = (1, 256, 64, 64)


def tiny_vit_onnx(encoder: Any) -> bytes:
    """ONNX model of a `TinyViT(mobile_sam=True)` for 1024 x 1024 images.

    Args:
        encoder: kornia's module, with its weights.

    Returns:
        A model with input ``image`` [1, 3, 1024, 1024] and one output [1, 256, 64, 64].
    """
    graph = _TinyViTGraph()
    x = graph.conv_norm(encoder.patch_embed.seq[0], INPUT)
    x = graph.add("Gelu", x)
    x = graph.conv_norm(encoder.patch_embed.seq[2], x)
    convolutional, *attentive = encoder.layers
    for block in convolutional.blocks:
        x = graph.inverted_residual(block, x)
    x = graph.merge_patches(convolutional.downsample, x)
    for stage in attentive:
        for block in stage.blocks:
            x = graph.attention_block(block, x)
        if stage.downsample is not None:
            x = graph.merge_patches(stage.downsample, x)
    for convolution, norm in (
        (encoder.neck[0], encoder.neck[1]),
        (encoder.neck[2], encoder.neck[3]),
    ):
        x = graph.convolution(convolution, x, _array(convolution.weight), None)
        x = graph.channel_norm(norm, x)
    return graph.model({INPUT: INPUT_SHAPE}, x, OUTPUT_SHAPE)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()


class _TinyViTGraph(GraphBuilder):
    """The layers of TinyViT in ONNX operators."""

    def convolution(
        self, module: Any, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32] | None
    ) -> str:
        """A Conv2d with the given weights and the module's geometry."""
        inputs = [self.constant(a) for a in (weight, bias) if a is not None]
        padding_y, padding_x = module.padding
        return self.add(
            "Conv",
            x,
            *inputs,
            kernel_shape=module.kernel_size,
            strides=module.stride,
            pads=(padding_y, padding_x, padding_y, padding_x),
            group=module.groups,
        )

    def conv_norm(self, module: Any, x: str) -> str:
        """Convolution, batch norm folded into it, and its activation (GELU or none)."""
        norm = module.bn
        scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
        bias = _array(norm.bias) - _array(norm.running_mean) * scale
        weight = _array(module.c.weight) * scale[:, None, None, None]
        x = self.convolution(module.c, x, weight, bias)
        return self.add("Gelu", x) if type(module.act).__name__ == "GELU" else x

    def inverted_residual(self, block: Any, x: str) -> str:
        """MBConv on an NCHW map."""
        y = self.conv_norm(block.conv1, x)
        y = self.conv_norm(block.conv2, y)
        y = self.conv_norm(block.conv3, y)
        return self.add("Gelu", self.add("Add", x, y))

    def merge_patches(self, module: Any, x: str) -> str:
        """Three convolutions between stages: NCHW to NCHW."""
        for convolution in (module.conv1, module.conv2, module.conv3):
            x = self.conv_norm(convolution, x)
        return x

    def attention_block(self, block: Any, x: str) -> str:
        """Window attention, depthwise convolution and MLP on an NCHW map."""
        tokens = self.add("Transpose", x, perm=(0, 2, 3, 1))  # [1, H, W, C]
        attended = self.window_attention(block, tokens)
        tokens = self.add("Add", tokens, attended)
        x = self.add("Transpose", tokens, perm=(0, 3, 1, 2))
        x = self.conv_norm(block.local_conv, x)
        tokens = self.add("Transpose", x, perm=(0, 2, 3, 1))
        hidden = self.layer_norm(block.mlp.norm, tokens)
        hidden = self.add("Gelu", self.linear(block.mlp.fc1, hidden))
        tokens = self.add("Add", tokens, self.linear(block.mlp.fc2, hidden))
        return self.add("Transpose", tokens, perm=(0, 3, 1, 2))

    def window_attention(self, block: Any, tokens: str) -> str:
        """Attention inside windows of an NHWC map, zero-padded right and below to whole ones."""
        (height, width), side = block.input_resolution, block.window_size
        channels = block.attn.qkv.in_features
        rows, columns = -(-height // side), -(-width // side)
        padding = (0, 0, 0, 0, 0, rows * side - height, columns * side - width, 0)
        if any(padding):
            tokens = self.add("Pad", tokens, self.integers(*padding))
        split = self.integers(rows, side, columns, side, channels)
        x = self.add("Transpose", self.add("Reshape", tokens, split), perm=(0, 2, 1, 3, 4))
        x = self.add("Reshape", x, self.integers(rows * columns, side * side, channels))
        x = self.attention(block.attn, x, (rows * columns, side * side))
        x = self.add("Reshape", x, self.integers(rows, columns, side, side, channels))
        x = self.add("Transpose", x, perm=(0, 2, 1, 3, 4))
        x = self.add("Reshape", x, self.integers(1, rows * side, columns * side, channels))
        if any(padding):
            ends = self.integers(height, width)
            x = self.add("Slice", x, self.integers(0, 0), ends, self.integers(1, 2))
        return x

    def attention(self, module: Any, x: str, shape: tuple[int, int]) -> str:
        """Multi-head attention with a bias per pair of tokens: [B, N, C] to [B, N, C]."""
        batch, count = shape
        heads, size = module.num_heads, module.key_dim
        x = self.layer_norm(module.norm, x)
        # kornia lays q, k, v of one head side by side: [heads, 3 * size] rows.
        weight = _array(module.qkv.weight).reshape(heads, 3, size, -1)
        bias = _array(module.qkv.bias).reshape(heads, 3, size)
        parts: list[str] = []
        for part, perm, scale in (
            (0, (0, 2, 1, 3), module.scale),
            (1, (0, 2, 3, 1), 1.0),
            (2, (0, 2, 1, 3), 1.0),
        ):
            matrix = weight[:, part].reshape(heads * size, -1).T * np.float32(scale)
            y = self.add("MatMul", x, self.constant(matrix))
            offset = bias[:, part].reshape(-1) * np.float32(scale)
            y = self.add("Add", y, self.constant(offset))
            y = self.add("Reshape", y, self.integers(batch, count, heads, size))
            parts.append(self.add("Transpose", y, perm=perm))
        query, key, value = parts
        expanded = _array(module.attention_biases)[:, module.attention_bias_idxs.cpu().numpy()]
        scores = self.add("Add", self.add("MatMul", query, key), self.constant(expanded))
        x = self.add("MatMul", self.add("Softmax", scores, axis=-1), value)
        x = self.add("Transpose", x, perm=(0, 2, 1, 3))
        x = self.add("Reshape", x, self.integers(batch, count, heads * size))
        return self.linear(module.proj, x)

    def linear(self, module: Any, x: str) -> str:
        """A Linear layer on the last axis."""
        y = self.add("MatMul", x, self.constant(_array(module.weight).T))
        return self.add("Add", y, self.constant(_array(module.bias)))

    def layer_norm(self, module: Any, x: str) -> str:
        """LayerNorm over the last axis."""
        weight, bias = self.constant(_array(module.weight)), self.constant(_array(module.bias))
        return self.add("LayerNormalization", x, weight, bias, epsilon=float(module.eps), axis=-1)

    def channel_norm(self, module: Any, x: str) -> str:
        """LayerNorm over the channels of an NCHW map."""
        x = self.layer_norm(module, self.add("Transpose", x, perm=(0, 2, 3, 1)))
        return self.add("Transpose", x, perm=(0, 3, 1, 2))
