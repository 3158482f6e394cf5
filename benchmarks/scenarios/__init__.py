"""One module per scenario, each with `run(mode) -> list[Figure]`."""
