"""How fast the product is: `manage.py benchmark`. It measures photos, searches, and the service over HTTP.

Everything that is compared runs alternately in one process on the same cores. On a shared machine the
milliseconds vary, but the ratios of one run remain meaningful.
"""
