"""The config file: its sections, how it is read, and how it is explained."""
