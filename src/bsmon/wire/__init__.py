"""A running training seen and steered from another process of the same user, over a Unix socket."""
