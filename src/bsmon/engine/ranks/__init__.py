"""One training on several devices of this machine: rank 0 is the run's own process, the others do what it orders."""
