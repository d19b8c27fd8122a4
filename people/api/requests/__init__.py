"""Validation of requests: bodies, query strings and headers. Every mistake is reported by field."""
