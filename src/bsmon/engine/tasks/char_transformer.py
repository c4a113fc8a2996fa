"""Model char-transformer: a small decoder-only transformer (after GPT-2 and Karpathy's nanoGPT)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that the field uses

from bsmon.config.schema import CharTransformerModel

_INITIAL_STD = 0.02  # GPT-2's


class CharTransformer(nn.Module):
    """Token and position embeddings, blocks of causal attention and MLP, and the score of every next token."""

    def __init__(self, vocabulary: int, context: int, config: CharTransformerModel) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, config.width)
        self.positions = nn.Embedding(context, config.width)
        self.dropout = nn.Dropout(config.dropout)
        blocks = [Block(config) for _ in range(config.layers)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, vocabulary, bias=False)
        self.apply(_initialise)
        for block in blocks:
            # Every block adds to the residual stream twice; this keeps its size at the start (GPT-2).
            for layer in (block.attention.out, block.mlp_out):
                nn.init.normal_(layer.weight, std=_INITIAL_STD / (2 * config.layers) ** 0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, length), int64 -> scores (batch, length, vocabulary); length is at most the context."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        stream = self.dropout(self.tokens(tokens) + self.positions(positions))
        scores: Tensor = self.head(self.norm(self.blocks(stream)))
        return scores


class Block(nn.Module):
    """Attention, then an MLP, each on a normalised copy of the stream and added to it."""

    def __init__(self, config: CharTransformerModel) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(config)
        self.norm2 = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, stream: Tensor) -> Tensor:
        """Stream (batch, length, width) -> the same shape."""
        stream = stream + self.dropout(self.attention(self.norm1(stream)))
        hidden = F.gelu(self.mlp_in(self.norm2(stream)))
        changed: Tensor = stream + self.dropout(self.mlp_out(hidden))
        return changed


class CausalSelfAttention(nn.Module):
    """Every position looks at itself and what came before it."""

    def __init__(self, config: CharTransformerModel) -> None:
        super().__init__()
        self.heads = config.heads
        self.share_dropped = config.dropout
        self.queries_keys_values = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, stream: Tensor) -> Tensor:
        """Stream (batch, length, width) -> the same shape."""
        batch, length, width = stream.shape
        by_head = self.queries_keys_values(stream).view(batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = by_head.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, width / heads)
        dropped = self.share_dropped if self.training else 0.0
        seen = F.scaled_dot_product_attention(queries, keys, values, dropout_p=dropped, is_causal=True)
        mixed: Tensor = self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return mixed


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=_INITIAL_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
