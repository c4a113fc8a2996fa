"""Screens: the run, and the small ones that ask."""
