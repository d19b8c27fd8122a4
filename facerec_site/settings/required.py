"""What a production start needs; told all at once, by name, before anything else is loaded."""

from __future__ import annotations

from collections.abc import Mapping

ALWAYS = {
    "SECRET_KEY": "a long random text; it signs sessions",
    "ALLOWED_HOSTS": "the host names that are served, with commas between",
}
SHARED = {
    "DATABASE_URL": "postgres://user:password@host:5432/name",
    "CELERY_BROKER_URL": "redis://host:6379/0 or sqs://",
    "AWS_STORAGE_BUCKET_NAME": "the private bucket that photos are kept in",
}
"""A container's disk goes with it, so these are needed unless FACEREC_VAR_DIR names a disk that stays."""
BROKERS = ("redis", "rediss", "sqs", "amqp", "amqps", "filesystem")
NUMBERS = (
    "DATABASE_POOL_SIZE", "DATABASE_STATEMENT_TIMEOUT_MS", "FACEREC_BACKUP_DAYS", "FACEREC_IMPORT_MAX_MB",
    "FACEREC_THREADS", "SECURE_HSTS_SECONDS", "WEB_CONCURRENCY", "WORKER_MAX_MEMORY_MB",
)  # fmt: skip


def problems(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that is missing or can't be meant. Never a value: it may be secret."""

    def value(name: str) -> str:
        return environment.get(name, "").strip()

    needed = dict(ALWAYS)
    if not value("FACEREC_VAR_DIR"):
        needed |= SHARED
    found = [f"{name} is missing: {meaning}." for name, meaning in needed.items() if not value(name)]
    if found and any(name in SHARED for name in needed if not value(name)):
        found.append(
            "To keep database, photos and queue on this machine instead, set FACEREC_VAR_DIR to a disk that"
            " stays."
        )
    broker, database, index = value("CELERY_BROKER_URL"), value("DATABASE_URL"), value("TEMPLATE_INDEX")
    cache = value("CACHE_URL")
    if broker.startswith("sqs://") and not value("SQS_QUEUE_URL"):
        found.append("SQS_QUEUE_URL is missing: CELERY_BROKER_URL is sqs://, which needs its address.")
    if broker and broker.partition("://")[0] not in BROKERS:
        found.append(f"CELERY_BROKER_URL must begin with one of {', '.join(BROKERS)} and ://.")
    if database and database.partition("://")[0] not in ("postgres", "postgresql"):
        found.append("DATABASE_URL must begin with postgres://.")
    if cache and cache.partition("://")[0] not in ("redis", "rediss", "unix"):
        found.append("CACHE_URL must begin with redis://, rediss:// or unix://.")
    if index not in ("", "embedded", "pinecone"):
        found.append("TEMPLATE_INDEX must be embedded or pinecone.")
    if index == "pinecone" and not value("PINECONE_API_KEY"):
        found.append("PINECONE_API_KEY is missing: TEMPLATE_INDEX is pinecone.")
    found += [
        f"{name} must be a whole number." for name in NUMBERS if value(name) and not value(name).isdigit()
    ]
    if value("LOG_FORMAT") not in ("", "json", "line"):
        found.append("LOG_FORMAT must be json or line.")
    return found
