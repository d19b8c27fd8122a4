"""Which code samples of the Markdown pages are run, and why the others aren't."""

from __future__ import annotations

from tests import markdown_samples
from tests.markdown_samples import Sample

NOT_RUN = {
    "downloads into the checkout, serves the usual port and runs until Ctrl-C; quickstart is run instead": [
        "README.md: make run # set up the service and a sample collection, …",
        "docs/getting-started.md: make run",
        "docs/deployment.md: make run # creates what is missing, then serves …",
    ],
    "installs packages or changes the checkout": [
        "docs/contributing.md: apt-get install chromium chromium-driver redis-server …",
        "docs/deployment.md: python3 -m venv .venv",
        "docs/deployment.md: git pull # or check out a tag",
    ],
    "runs other tests": [
        "docs/contributing.md: .venv/bin/python -m pytest -n0 tests/test_decision.py -k …",
        "docs/contributing.md: .venv/bin/python -m tests.postgresql .venv/bin/python -m …",
        "docs/contributing.md: .venv/bin/python -m pytest -n0 tests/api/test_enrolment.py …",
        "docs/contributing.md: .venv/bin/python manage.py list_errors > docs/errors.md",
        'docs/contributing.md: .venv/bin/python -m pytest -n0 -m "not slow" …',
        "docs/contributing.md: ENVIRONMENT=test .venv/bin/python manage.py makemigrations …",
        "docs/contributing.md: .venv/bin/python -m pytest -n0 tests/test_api_keys.py",
    ],
    "run by tests/api/test_documented_recipe.py": [
        "docs/contributing.md: def test_a_suspended_person_cannot_be_verified(api: …",
    ],
    "a part of a patch to this code": [
        "docs/contributing.md: class PersonSuspended(Conflict):",
        "docs/contributing.md: if person.status == Person.Status.SUSPENDED:",
        "docs/contributing.md: FACEREC_IDEMPOTENCY_HOURS = …",
        "docs/contributing.md: owner = models.CharField(max_length=100, blank=True, …",
    ],
    "takes minutes to hours, and downloads LFW or needs photos of many people": [
        "docs/accuracy.md: .venv/bin/python manage.py evaluate lfw-dev # the first …",
        "docs/accuracy.md: .venv/bin/python manage.py evaluate lfw-dev --enrol 5 # …",
        "docs/accuracy.md: .venv/bin/python manage.py evaluate FOLDER # prints the …",
        "docs/performance.md: make bench # 20 minutes on an idle machine; manage.py …",
        "docs/performance.md: .venv/bin/python manage.py benchmark --cores 0 --against …",
    ],
    "needs Docker, a reverse proxy, or PostgreSQL with Redis and S3": [
        "docs/deployment.md: CELERY_BROKER_URL=redis://redis.internal:6379/0",
        "docs/deployment.md: faces.example.org {",
        "docs/deployment.md: make stack # PORT=… for a port other than 8000",
    ],
    "needs an AWS account": [
        "docs/aws.md: pip install --require-hashes -r requirements/deploy.txt",
        "docs/aws.md: aws ssm get-parameter --with-decryption --name …",
        "docs/aws.md: aws acm request-certificate --domain-name …",
        "docs/aws.md: aws elbv2 describe-load-balancers --names facerec-api-alb …",
        "docs/aws.md: curl --head http://faces.example.org/health # 301 to …",
        "docs/aws.md: aws rds restore-db-instance-to-point-in-time --source-db- …",
        "docs/aws.md: aws rds modify-db-instance --db-instance-identifier ID …",
        "docs/aws.md: deploy/facerec-deploy logs --since 30d | grep -oE 'Erasure …",
        "docs/aws.md: aws cloudformation describe-stacks --stack-name facerec- …",
        "docs/aws.md: export AWS_REGION=eu-central-1 AWS_ACCOUNT=$(aws sts get- …",
        "docs/aws.md: aws ecr create-repository --repository-name facerec-api",
        "docs/aws.md: pip install --require-hashes -r requirements/deploy.txt # …",
        "docs/aws.md: copilot app init facerec",
        "docs/aws.md: copilot job delete --name maintenance --env prod --yes",
    ],
}
"""Samples that tests/test_documented_samples.py doesn't run, by the reason.

tests/test_documented_commands.py checks their commands.
"""
LISTED = [name for names in NOT_RUN.values() for name in names]


def samples(page: str) -> list[Sample]:
    """Return the samples of a page that are to be run, from top to bottom.

    Samples in TOML are values of parameters, which tests/test_documented_commands.py compares with the
    templates that declare them.
    """
    return [
        sample
        for sample in markdown_samples.samples(page)
        if sample.language != "toml" and sample.name not in LISTED
    ]
