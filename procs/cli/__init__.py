"""The `pr3dict` command."""
