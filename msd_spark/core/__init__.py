"""Shared definitions: errors, schemas, the warehouse, features and run metadata. Imports no other package of ours."""
