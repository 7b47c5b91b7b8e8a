"""What several test files share: worlds, batches, stand-ins and the claims that hold for more than one algorithm."""
