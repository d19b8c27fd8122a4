"""Import many photos of many people from an archive, a folder or a bucket prefix."""
