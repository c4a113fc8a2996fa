"""A run's journal in formats that other programs read."""
