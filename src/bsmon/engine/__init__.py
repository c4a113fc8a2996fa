"""The training thread."""
