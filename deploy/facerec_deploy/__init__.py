"""The command `deploy/facerec-deploy`: CloudFormation stacks, secrets, images and tasks of facerec-api."""
