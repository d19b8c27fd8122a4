"""The benchmark's only error."""


class BenchmarkError(Exception):
    """The benchmark can't continue. The message states the reason and, if there is one, a remedy."""
