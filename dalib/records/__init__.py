"""What runs are and what they left behind: spec, key, record, store, archive, manifest; no torch."""
