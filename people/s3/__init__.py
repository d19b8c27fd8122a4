"""Amazon S3: where photos are stored, and the buckets that photos may be read from."""
