"""Backup, restore, and copies between warehouses (docs/backup.md, docs/moving.md)."""
