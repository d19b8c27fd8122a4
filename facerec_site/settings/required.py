"""Checks the environment variables of a production start before anything else is loaded.

In production the service lists every missing or invalid variable and exits.
"""

from __future__ import annotations

from collections.abc import Mapping

ALWAYS = {
    "SECRET_KEY": "Set it to a long random string, which signs sessions.",
    "ALLOWED_HOSTS": "Set it to the service's host names, separated by commas.",
}
"""Variables that every production start needs, and what to set them to."""
SHARED = {
    "DATABASE_URL": "Set it to postgres://user:password@host:5432/name.",
    "CELERY_BROKER_URL": "Set it to a broker, such as redis://host:6379/0 or sqs://.",
    "AWS_STORAGE_BUCKET_NAME": "Set it to the name of the private bucket for photos.",
}
"""Variables that are needed unless FACEREC_VAR_DIR names a persistent disk: a container's disk is not."""
BROKERS = ("redis", "rediss", "sqs", "amqp", "amqps", "filesystem")
NUMBERS = (
    "DATABASE_POOL_SIZE", "DATABASE_STATEMENT_TIMEOUT_MS", "FACEREC_BACKUP_DAYS", "FACEREC_IMPORT_MAX_MB",
    "FACEREC_THREADS", "SECURE_HSTS_SECONDS", "WEB_CONCURRENCY", "WORKER_MAX_MEMORY_MB",
)  # fmt: skip


def problems(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that is missing or invalid, without its value, which may be secret."""

    def value(name: str) -> str:
        return environment.get(name, "").strip()

    required = dict(ALWAYS)
    if not value("FACEREC_VAR_DIR"):
        required |= SHARED
    missing = [name for name in required if not value(name)]
    lines = [f"{name} is missing. {required[name]}" for name in missing]
    if any(name in SHARED for name in missing):
        lines.append(
            "To keep the database, photos and queue on this machine instead, set FACEREC_VAR_DIR to a folder"
            " on a persistent disk."
        )
    broker, database, index = value("CELERY_BROKER_URL"), value("DATABASE_URL"), value("TEMPLATE_INDEX")
    cache = value("CACHE_URL")
    if broker.startswith("sqs://") and not value("SQS_QUEUE_URL"):
        lines.append(
            "SQS_QUEUE_URL is missing. Set it to the queue's URL, because CELERY_BROKER_URL is sqs://."
        )
    if broker and broker.partition("://")[0] not in BROKERS:
        schemes = ", ".join(f"{name}://" for name in BROKERS)
        lines.append(f"CELERY_BROKER_URL must begin with one of {schemes}.")
    if database and database.partition("://")[0] not in ("postgres", "postgresql"):
        lines.append("DATABASE_URL must begin with postgres://.")
    if cache and cache.partition("://")[0] not in ("redis", "rediss", "unix"):
        lines.append("CACHE_URL must begin with redis://, rediss:// or unix://.")
    if index not in ("", "embedded", "pinecone"):
        lines.append("TEMPLATE_INDEX must be embedded or pinecone.")
    if index == "pinecone" and not value("PINECONE_API_KEY"):
        lines.append("PINECONE_API_KEY is missing. Set it, because TEMPLATE_INDEX is pinecone.")
    lines += [
        f"{name} must be a whole number." for name in NUMBERS if value(name) and not value(name).isdigit()
    ]
    if value("LOG_FORMAT") not in ("", "json", "line"):
        lines.append("LOG_FORMAT must be json or line.")
    return lines
