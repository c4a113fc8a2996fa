"""Built-in data sets, models and losses, and the way to your own."""
