"""JSON schemas of this project's manifests. Copilot itself silently accepts typos and impossible sizes."""

from __future__ import annotations

from typing import Any

SECRETS = {
    "SECRET_KEY", "DATABASE_PASSWORD", "PINECONE_API_KEY", "ADMIN_PASSWORD",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
}  # fmt: skip
VARIABLES = {
    "ENVIRONMENT", "BIND_ADDRESS", "PORT", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SECURE_SSL_REDIRECT",
    "DATABASE_URL", "DATABASE_STATEMENT_TIMEOUT_MS", "AWS_STORAGE_BUCKET_NAME", "CELERY_BROKER_URL",
    "SQS_QUEUE_URL", "FACEREC_BACKUP_DAYS", "METRICS_EMF",
}  # fmt: skip
FARGATE = {  # memory in MB allowed for each number of CPU units: minimum, maximum, step
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
}


def _map(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Return the schema of a map with only these keys. Any other key is a typo."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
YES_OR_NO = {"type": "boolean"}
TMP = {"const": "/tmp"}
COMMAND = {"type": "array", "items": TEXT, "minItems": 1}
COUNT = {"type": "integer", "minimum": 1, "maximum": 100}
SECONDS = {"type": "string", "pattern": r"^[1-9]\d*s$"}
LOCATION = {
    "const": "${AWS_ACCOUNT}.dkr.ecr.${AWS_REGION}.amazonaws.com/facerec-api:${IMAGE_TAG}",
}
# only strings, because YAML's `true` and `8000` don't always reach a process as they are written
VARIABLE = {"anyOf": [{"type": "string"}, _map({"from_cfn": TEXT})]}
COMMON = {
    "name": TEXT,
    "platform": {"const": "linux/amd64"},
    "cpu": {"enum": list(FARGATE)},
    "memory": {"type": "integer"},
    "network": _map({"vpc": _map({"placement": {"const": "private"}})}),
    "storage": _map(
        {
            "readonly_fs": {"const": True},
            "volumes": _map({"tmp": _map({"path": TMP, "read_only": {"const": False}})}),
        }
    ),
    "logging": _map({"retention": {"const": 30}}),
    "variables": _map({}, **dict.fromkeys(VARIABLES, VARIABLE)),
    "secrets": _map({}, **{name: {"const": f"/facerec/{name}"} for name in SECRETS}),
}
SIZES = {
    "allOf": [
        {
            "if": {"properties": {"cpu": {"const": cpu}}},
            "then": {"properties": {"memory": {"minimum": minimum, "maximum": maximum, "multipleOf": step}}},
        }
        for cpu, (minimum, maximum, step) in FARGATE.items()
    ]
}
HEALTHCHECK = _map(
    {"command": COMMAND, "interval": SECONDS, "timeout": SECONDS, "retries": COUNT, "start_period": SECONDS}
)
SIDECAR = _map(
    {
        "image": LOCATION,
        "essential": YES_OR_NO,
        "command": COMMAND,
        "mount_points": {
            "type": "array",
            "items": _map({"source_volume": {"const": "tmp"}, "path": TMP, "read_only": {"const": False}}),
        },
        "variables": COMMON["variables"],
        "secrets": COMMON["secrets"],
    }
)

API = SIZES | _map(
    COMMON
    | {
        "type": {"const": "Load Balanced Web Service"},
        "image": _map(
            {"location": LOCATION, "port": {"const": 8000}, "healthcheck": HEALTHCHECK},
            depends_on={"type": "object", "additionalProperties": {"enum": ["success", "healthy", "start"]}},
        ),
        "count": _map(
            {
                "range": {"type": "string", "pattern": r"^\d+-\d+$"},
                "cpu_percentage": {"type": "integer", "minimum": 1, "maximum": 100},
            }
        ),
        "exec": {"const": False},
        "http": _map(
            {
                "path": {"const": "/"},
                "healthcheck": _map(
                    {
                        "path": {"const": "/health"},
                        "port": {"const": 8000},
                        "success_codes": {"const": "200"},
                        "healthy_threshold": {"type": "integer", "minimum": 2, "maximum": 10},
                        "unhealthy_threshold": {"type": "integer", "minimum": 2, "maximum": 10},
                        "interval": SECONDS,
                        "timeout": SECONDS,
                        "grace_period": SECONDS,
                    }
                ),
                "deregistration_delay": SECONDS,
            },
            alias=TEXT,
        ),
        "sidecars": _map({"prepare": SIDECAR}),
    }
)
WORKER = SIZES | _map(
    COMMON
    | {
        "type": {"const": "Backend Service"},
        "image": _map({"location": LOCATION}),
        "command": COMMAND,
        "count": COUNT,
        "exec": {"const": False},
    }
)
MAINTENANCE = SIZES | _map(
    COMMON
    | {
        "type": {"const": "Scheduled Job"},
        "image": _map({"location": LOCATION}),
        "command": COMMAND,
        "on": _map({"schedule": {"type": "string", "pattern": r"^cron\(\S+ \S+ \S+ \S+ \S+ \S+\)$"}}),
        "timeout": {"type": "string", "pattern": r"^[1-9]\d*[hms]$"},
        "retries": {"type": "integer", "minimum": 0, "maximum": 10},
    }
)
ENVIRONMENT = _map(
    {
        "name": {"enum": ["prod", "staging"]},
        "type": {"const": "Environment"},
        "observability": _map({"container_insights": YES_OR_NO}),
    },
    http=_map({"public": _map({"certificates": {"type": "array", "items": TEXT, "minItems": 1}})}),
)
PIPELINE = _map(
    {
        "name": TEXT,
        "version": {"const": 1},
        "source": _map(
            {"provider": {"const": "GitHub"}, "properties": _map({"branch": TEXT, "repository": TEXT})}
        ),
        "build": _map(
            {
                "image": TEXT,
                "buildspec": TEXT,
                "additional_policy": _map({"PolicyDocument": {"type": "object"}}),
            }
        ),
        "stages": {
            "type": "array",
            "minItems": 1,
            "items": _map(
                {
                    "name": {"enum": ["prod", "staging"]},
                    "requires_approval": YES_OR_NO,
                    "deployments": {
                        "type": "object",
                        "propertyNames": {"enum": ["api", "worker", "maintenance"]},
                        "additionalProperties": {
                            "anyOf": [
                                {"type": "null"},
                                _map({"depends_on": {"type": "array", "items": TEXT}}),
                            ]
                        },
                    },
                }
            ),
        },
    }
)

SCHEMAS = {
    "api/manifest.yml": API,
    "worker/manifest.yml": WORKER,
    "maintenance/manifest.yml": MAINTENANCE,
    "environments/prod/manifest.yml": ENVIRONMENT,
    "environments/staging/manifest.yml": ENVIRONMENT,
    "pipelines/facerec/manifest.yml": PIPELINE,
}
