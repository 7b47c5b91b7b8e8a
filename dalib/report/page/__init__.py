"""A suite as one page for the browser: everything that its records hold, as a file or served while it runs."""
