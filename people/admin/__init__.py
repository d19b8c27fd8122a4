"""The admin: what staff see and do. Each page parses, calls one operation, and renders."""

from people.admin import api_keys, collections, imports, merges, persons, records

__all__ = ["api_keys", "collections", "imports", "merges", "persons", "records"]
