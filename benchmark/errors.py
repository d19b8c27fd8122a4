"""The benchmark's one error."""


class BenchmarkError(Exception):
    """The benchmark can't continue. The message states the reason and, where there is one, a remedy."""
