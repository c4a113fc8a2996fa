"""One page about a finished run, readable without bsmon and without a network."""
