"""Owns the threads of a run and builds its snapshots."""
