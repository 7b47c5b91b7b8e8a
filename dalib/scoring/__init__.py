"""Metrics and scores of outputs, rescoring of old records, diagnosis."""
