"""The advisor: pure rules over typed evidence. No clock, no files, no torch."""
