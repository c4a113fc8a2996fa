"""Panels of the run screen, one a file."""
