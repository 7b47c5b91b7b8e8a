"""One estimate of the accuracy on unlabelled rows per file."""
