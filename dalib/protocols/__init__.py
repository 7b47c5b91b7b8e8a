"""Which rows and labels a run may use: one protocol per file."""
