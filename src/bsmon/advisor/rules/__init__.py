"""The questions of the decision tree, one a file."""
