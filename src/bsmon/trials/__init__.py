"""Short trainings that answer one question and leave nothing behind: a learning rate range test, a sweep over sizes."""
