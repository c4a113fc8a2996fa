"""Records, commands and seams that every layer shares. Standard library only."""
