"""A suite as one page for the browser: everything that its records hold, in a file of its own or served while it runs."""
