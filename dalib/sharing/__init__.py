"""Models and results in repositories: model cards, `dalib.push` and `dalib.pull`."""
