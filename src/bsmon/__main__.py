"""`python -m bsmon`: the same as the console script."""

from bsmon.cli import main

if __name__ == "__main__":
    main()
