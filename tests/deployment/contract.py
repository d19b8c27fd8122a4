"""The contract of the deployment to AWS: what operators can rely on, one line per property.

The values in `CONTRACT` are those of the contract's document. Each deployment method has a test that checks
every line against the resources that it would create (`test_cloudformation.py`, `test_copilot_contract.py`).
If a method can't keep a line, its `NOT_KEPT` gives the reason, and docs/aws.md informs operators.
"""

from __future__ import annotations

CONTRACT: dict[str, str] = {
    "ecr-name": "ECR repository `facerec-api`",
    "ecr-latest": "image tag `latest`",
    "platform": "linux/amd64",
    "dockerfile": "docker/api/Dockerfile, built from the project's root",
    "cluster-name": "ECS cluster `facerec-api-cluster`",
    "cluster-capacity": "capacity providers FARGATE and FARGATE_SPOT",
    "launch-type": "launch type FARGATE",
    "task-family": "task definition family `facerec-api`",
    "task-cpu": "1024 CPU units",
    "task-memory": "4096 MB of memory",
    "container-name": "container `api`",
    "container-port": "container port 8000, tcp",
    "container-environment": "ENVIRONMENT=production",
    "secret-access-key-id": "AWS_ACCESS_KEY_ID from /facerec/AWS_ACCESS_KEY_ID (static keys)",
    "secret-secret-access-key": "AWS_SECRET_ACCESS_KEY from /facerec/AWS_SECRET_ACCESS_KEY (static keys)",
    "secret-pinecone": "PINECONE_API_KEY from /facerec/PINECONE_API_KEY",
    "log-driver": "awslogs to /ecs/facerec-api in the region, prefix `ecs`",
    "service-name": "ECS service `facerec-api`",
    "desired-count": "desired count 1",
    "scale-up": "scale up when CPU > 70%",
    "scale-down": "scale down when CPU < 30%",
    "scale-limits": "1 to 2 tasks",
    "alb-name": "load balancer `facerec-api-alb`",
    "alb-scheme": "internet-facing, application",
    "listener": "listener on port 80, HTTP",
    "listener-action": "its default action forwards to the target group (or redirects to HTTPS)",
    "target-group-name": "target group `facerec-api-tg`",
    "target-group-protocol": "target group HTTP on port 8000, target type ip",
    "health-path": "health check GET /health on port 8000, HTTP",
    "health-thresholds": "healthy and unhealthy after 2",
    "health-timeout": "health check timeout 5 s",
    "health-interval": "health check interval 30 s",
    "execution-role-name": "task execution role `ecsTaskExecutionRole`",
    "execution-role-managed": "service-role/AmazonECSTaskExecutionRolePolicy",
    "execution-role-ssm": "ssm:GetParameters and ssm:GetParameter on parameter/facerec/*",
    "task-role-name": "task role `ecsTaskRole`",
    "task-role-s3": "s3:GetObject, PutObject, DeleteObject on the bucket's objects",
    "alb-sg-name": "security group `facerec-api-alb-sg`",
    "alb-sg-in": "port 80 from 0.0.0.0/0",
    "alb-sg-out": "all traffic to the tasks' security group",
    "ecs-sg-name": "security group `facerec-api-ecs-sg`",
    "ecs-sg-in": "port 8000 from the load balancer's security group, nothing else",
    "ecs-sg-out": "all traffic to 0.0.0.0/0 (unless narrowed)",
    "private-subnets": "tasks in private subnets",
    "log-retention": "log group /ecs/facerec-api kept 30 days",
    "metrics": "CPU, memory, request count, target response time, error rates on a dashboard",
}
