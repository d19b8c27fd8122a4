"""What requests bring: bodies and queries. Every mistake is reported by field."""
