"""What a run leaves behind: bounded series and files."""
