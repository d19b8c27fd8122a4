"""Amazon S3: the storage of enrolled photos, and the buckets that photos may be read from."""
