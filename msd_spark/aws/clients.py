"""Clients of AWS's services, and their errors as messages for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from msd_spark.core.errors import UserError

CREDENTIALS = "run aws configure sso or export AWS_PROFILE, and check by aws sts get-caller-identity"
"""What to do without valid credentials."""

EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")

MAX_CONNECTIONS = 32
"""Connections of one client, as many as an upload has threads."""


@lru_cache(maxsize=32)
def client(service: str, region: str) -> Any:
    """Return a client of a service, such as ``stepfunctions``."""
    config = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=MAX_CONNECTIONS)
    return boto3.Session().client(service, region_name=region, config=config)


def error_code(error: ClientError) -> str:
    """Return the code of an error, such as ``AccessDenied``."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Turn an error of AWS while `doing` something into a `UserError` with the remedy."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError):
        raise UserError(f"{doing}: there are no AWS credentials; {CREDENTIALS}") from None
    except ClientError as error:
        code, text = error_code(error), " ".join(str(error).split())
        if code in EXPIRED:
            raise UserError(f"{doing}: the AWS credentials are not valid ({code}); {CREDENTIALS}") from None
        if code in DENIED:
            raise UserError(f"{doing}: {text}; ask for this permission") from None
        raise UserError(f"{doing}: {text}") from None
    except BotoCoreError as error:
        text = " ".join(str(error).split())
        raise UserError(f"{doing}: {text}; check the network and AWS_ENDPOINT_URL") from None
