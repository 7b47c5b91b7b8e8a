"""Metrics: numbers for what a model answers, one per file."""
