"""Batch-size monitor: train, watch, and change the batch size while it trains."""

__version__ = "0.1.0"
