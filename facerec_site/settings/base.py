"""The settings that all environments share, with safe defaults and no default secret key.

The other modules contain only what differs in their environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ

from facerec_site import VERSION
from facerec_site.logs import chosen_format, configuration

# Makes the classes that django-stubs declares generic, such as ModelAdmin, subscriptable at run time.
django_stubs_ext.monkeypatch()

env = environ.Env()
# django-environ takes a value that begins with $ for the name of another variable, unless each $ is escaped.
env.escape_proxy = True
env.ENVIRON = {name: value.replace("$", r"\$") for name, value in os.environ.items()}

# OpenCV reads this when it is loaded. By default it logs a notice about an unused feature for each detector.
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")

BASE_DIR = Path(__file__).resolve().parents[2]

# The folder for this installation's data: database, photos, models and broker.
FACEREC_VAR_DIR = Path(env("FACEREC_VAR_DIR", default=str(BASE_DIR / "var")))
FACEREC_MODELS_DIR = Path(env("FACEREC_MODELS_DIR", default=str(FACEREC_VAR_DIR / "models")))
FACEREC_SAMPLES_DIR = Path(env("FACEREC_SAMPLES_DIR", default=str(FACEREC_VAR_DIR / "samples")))

DEBUG = False
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "people.apps.PeopleConfig",
    "facerec_site.apps.FacerecAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    # First, because a load balancer sends its health checks over HTTP, with an IP address as Host.
    "facerec_site.health.HealthMiddleware",
    "facerec_site.request_id.RequestIdMiddleware",
    "facerec_site.observation.ObservationMiddleware",
    "facerec_site.request_checks.RequestChecksMiddleware",
    "facerec_site.chunked_bodies.ChunkedBodiesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "facerec_site.errors.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "facerec_site.urls"
WSGI_APPLICATION = "facerec_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# PostgreSQL if DATABASE_URL=postgres://user:password@host:5432/name is set, otherwise an SQLite file.
if env("DATABASE_URL", default=""):
    _url: dict[str, Any] = env.db_url("DATABASE_URL")
    if env("DATABASE_PASSWORD", default=""):  # a separate variable, so that only it is a secret
        _url["PASSWORD"] = env("DATABASE_PASSWORD")
    DATABASES = {
        "default": {
            **_url,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {
                **_url.get("OPTIONS", {}),  # such as ?sslmode=verify-full
                # one pool per process, shared by its threads
                "pool": {"min_size": 1, "max_size": env.int("DATABASE_POOL_SIZE", default=12), "timeout": 5},
                "connect_timeout": 5,
                # lets the kernel detect a server that disappeared without closing the connection
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 20_000,
                "options": (
                    f"-c statement_timeout={env.int('DATABASE_STATEMENT_TIMEOUT_MS', default=20_000)}"
                    " -c idle_in_transaction_session_timeout=60000"
                ),
            },
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FACEREC_VAR_DIR / "facerec.sqlite3",
            "CONN_MAX_AGE": 60,  # closing a connection checkpoints the WAL, which takes longer than a search
            "OPTIONS": {
                # Several processes write, so each transaction waits for the write lock when it begins.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": (
                    "PRAGMA journal_mode=WAL;"
                    "PRAGMA synchronous=FULL;"  # an acknowledged enrolment survives a power cut
                    "PRAGMA secure_delete=ON;"  # an erased template leaves no bytes in the file
                ),
            },
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Rate limits apply across all processes of one machine, or with Redis across all machines.
RATE_COUNTER: dict[str, Any] = {
    "BACKEND": "people.api.counters.SqliteCounter",
    "OPTIONS": {"path": FACEREC_VAR_DIR / "rate_limits.sqlite3"},
}
if env("CACHE_URL", default=""):
    RATE_COUNTER = {
        "BACKEND": "people.api.counters.RedisCounter",
        "OPTIONS": {"url": env("CACHE_URL")},
    }

STORAGES = {
    "default": {
        "BACKEND": "people.photo_folder.PhotoFolder",
        "OPTIONS": {
            "location": FACEREC_VAR_DIR / "photos",
            "base_url": None,  # photos are served by views that check permissions, never by path
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# The region of all buckets and of the queue. If it isn't set, boto3 looks for one in its own configuration.
AWS_REGION: str | None = env("AWS_REGION", default="") or None
# A private bucket instead of a folder. boto3 uses the keys in the environment, or else the task's role.
if env("AWS_STORAGE_BUCKET_NAME", default=""):
    STORAGES["default"] = {
        "BACKEND": "people.s3.photo_storage.S3PhotoStorage",
        "OPTIONS": {
            "bucket_name": env("AWS_STORAGE_BUCKET_NAME"),
            "kms_key": env("AWS_STORAGE_KMS_KEY", default=""),
            "region_name": AWS_REGION,
        },
    }
# Buckets whose objects can be used as photos and imports. Any API key that can send photos can read them.
FACEREC_S3_INPUT_BUCKETS: list[str] = env.list("FACEREC_S3_INPUT_BUCKETS", default=[])
# The largest ZIP archive that can be uploaded for an import, in megabytes.
FACEREC_IMPORT_MAX_MB = env.int("FACEREC_IMPORT_MAX_MB", default=2000)
STATIC_URL = "/static/"
STATIC_ROOT = FACEREC_VAR_DIR / "static"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

LOGIN_URL = "admin:login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# One photo is at most 10 MB; base64 makes it a third larger. Uploaded files are limited by
# people.photos, and by DATA_UPLOAD_MAX_NUMBER_FILES.
DATA_UPLOAD_MAX_MEMORY_SIZE = 14_500_000
DATA_UPLOAD_MAX_NUMBER_FILES = 50
FILE_UPLOAD_MAX_MEMORY_SIZE = 11_000_000
# Keeps uploads in memory, so that probes are never written to the disk.
FILE_UPLOAD_HANDLERS = ["people.uploads.BoundedMemoryUploadHandler"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "people.api.authentication.ApiKeyAuthentication",
        "people.api.authentication.StaffSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["people.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["people.api.parsers.StrictJsonParser"],
    "DEFAULT_METADATA_CLASS": "people.api.metadata.AllowedMethods",
    "DEFAULT_THROTTLE_CLASSES": ["people.api.throttling.KeyRateThrottle"],
    "DEFAULT_PAGINATION_CLASS": "people.api.pagination.KeysetPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "people.api.openapi.schema.Schema",
    "EXCEPTION_HANDLER": "people.api.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "iso-8601",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "facerec-api",
    "DESCRIPTION": "Enrol people from photos; identify (1:N) and verify (1:1) them.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    # Request and response components of one name may differ. A PATCH body has no required fields anyway.
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_SUFFIX": "",
    "ENUM_NAME_OVERRIDES": {
        "PersonStatus": "people.models.Person.Status",
        "SettablePersonStatus": "people.api.requests.records.SETTABLE_STATUSES",
        "PhotoStatus": "people.models.Photo.Status",
        "ErasureStatus": "people.api.responses.records.ERASURE_STATUSES",
        "ImportSource": "people.models.ImportJob.Source",
        "ImportState": "people.models.ImportJob.State",
        "ImportItemState": "people.models.ImportItem.State",
        "QualityLevel": "people.quality.LEVELS",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "people.api.openapi.document.complete",
    ],
}

# The engine and the index are replaceable, by BACKEND and OPTIONS as in Django's own settings.
FACE_ENGINE: dict[str, Any] = {"BACKEND": "people.engines.onnx.OnnxEngine", "OPTIONS": {}}
TEMPLATE_INDEX: dict[str, Any] = {"BACKEND": "people.indexes.embedded.EmbeddedIndex", "OPTIONS": {}}
_index = env("TEMPLATE_INDEX", default="pinecone" if env("PINECONE_API_KEY", default="") else "embedded")
if _index == "pinecone":
    TEMPLATE_INDEX = {
        "BACKEND": "people.indexes.pinecone.PineconeIndex",
        "OPTIONS": {
            "api_key": env("PINECONE_API_KEY"),
            "name": env("PINECONE_INDEX", default="facerec"),
            "cloud": env("PINECONE_CLOUD", default="aws"),
            "region": env("PINECONE_REGION", default="us-east-1"),
            "control_host": env("PINECONE_CONTROL_HOST", default=""),
        },
    }
# How many days backups of database and storage are kept. Erasure receipts state it.
FACEREC_BACKUP_DAYS = env.int("FACEREC_BACKUP_DAYS", default=35)
# Compute threads per process. Each gunicorn and Celery process has this many.
FACEREC_THREADS = env.int("FACEREC_THREADS", default=1)

# Celery executes tasks; the outbox stores them. So results aren't kept, and the broker may lose messages.
# filesystem://localhost (one machine), redis://… or rediss://…, amqp://…, or sqs://
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="filesystem://localhost")
# Seconds. Longer than any task may run, so that a broker doesn't deliver a task again while it is running.
_VISIBILITY_TIMEOUT = 6 * 60
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
match CELERY_BROKER_URL.partition("://")[0]:
    case "filesystem":
        CELERY_BROKER_TRANSPORT = "facerec_site.folder_broker:Transport"
        # With brokers that have no event loop, Celery's child processes share a lock: a child that is
        # killed while it holds the lock stops all tasks permanently (seen with billiard 4.3). So the
        # worker runs tasks in its own process here, and restarting it restarts everything.
        CELERY_WORKER_POOL = "solo"
        CELERY_BROKER_TRANSPORT_OPTIONS = {
            "data_folder_in": str(FACEREC_VAR_DIR / "broker" / "queue"),
            "data_folder_out": str(FACEREC_VAR_DIR / "broker" / "queue"),
            "control_folder": str(FACEREC_VAR_DIR / "broker" / "control"),
            "polling_interval": 0.05,
        }
    case "redis" | "rediss":
        CELERY_BROKER_TRANSPORT_OPTIONS = {
            "visibility_timeout": _VISIBILITY_TIMEOUT,
            # a request that wakes the worker must not wait for an unavailable broker
            "socket_connect_timeout": 2,
            "socket_timeout": 2,
            "socket_keepalive": True,
            "retry_on_timeout": False,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
        }
    case "sqs":
        CELERY_BROKER_TRANSPORT_OPTIONS = {
            "region": AWS_REGION or "us-east-1",
            "visibility_timeout": _VISIBILITY_TIMEOUT,
            "wait_time_seconds": 10,
            "polling_interval": 0.1,
            "client-config": {"connect_timeout": 2, "read_timeout": 15, "retries": {"max_attempts": 2}},
            # with the queue's URL, the role needs no permission to list or create queues
            "predefined_queues": {"celery": {"url": env("SQS_QUEUE_URL")}},
        }
        CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # it would need additional queues
        CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 60
# Kilobytes. A child process that uses more is replaced after its current task.
CELERY_WORKER_MAX_MEMORY_PER_CHILD = env.int("WORKER_MAX_MEMORY_MB", default=1200) * 1024
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# The bearer token for /metrics. If it is empty, /metrics doesn't exist.
METRICS_TOKEN = env("METRICS_TOKEN", default="")
# Whether each request is also reported to stdout in CloudWatch's embedded metric format.
METRICS_EMF = env.bool("METRICS_EMF", default=False)

LOGGING = configuration(chosen_format(os.environ))
