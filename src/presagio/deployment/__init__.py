"""What a deployment needs besides its services, with and without Docker: provisioning, health.

Steps of compose, its health checks and backups run these as ``python -m presagio.deployment.NAME``;
the stack without Docker runs the same.
"""
