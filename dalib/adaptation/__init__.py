"""What `dalib adapt` does: a trained model goes on with unlabelled rows of a new domain alone."""
