"""An AWS on this machine for Terraform's provider: moto, and the calls that the provider makes and moto lacks.

``python -m tests.infra.emulator PORT`` serves it on 127.0.0.1. It keeps books and starts nothing.
"""
