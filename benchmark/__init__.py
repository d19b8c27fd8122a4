"""What `manage.py benchmark` measures: the engine's stages, searches, and the whole service over HTTP.

What is compared runs turn by turn in one process on the same cores, so that the ratios hold also where
a machine is shared and its milliseconds don't.
"""
