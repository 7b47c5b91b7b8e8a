"""Table formats, one per file."""
