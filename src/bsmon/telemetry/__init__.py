"""Measurements of gradients, memory, GPUs and the host."""
