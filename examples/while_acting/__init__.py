"""The tasks of phihp_tasks.py."""
