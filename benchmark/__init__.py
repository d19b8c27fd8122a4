"""Measures the product's speed with `manage.py benchmark`: photos, searches, and the service over HTTP.

The engine and the baselines run alternately in one process on the same cores. On a shared machine the
milliseconds vary, but the ratios of one run remain meaningful.
"""
