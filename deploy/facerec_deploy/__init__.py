"""The command `deploy/facerec-deploy`: facerec-api's CloudFormation stacks, secrets, images and tasks."""
