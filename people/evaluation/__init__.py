"""How well an engine detects, verifies and identifies the people in a folder of photos."""
