"""One kind of answer per file."""
