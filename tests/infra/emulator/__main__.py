"""Serve the emulator: ``python -m tests.infra.emulator PORT``."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from moto import backends
from moto.core.exceptions import ServiceException
from moto.core.responses import BaseResponse
from moto.server import main
from werkzeug.exceptions import HTTPException

from tests.infra.emulator import amazon, ec2, emr, policies, quotas, stepfunctions

call_action_of_moto = BaseResponse.call_action


def call_action(self: BaseResponse) -> Any:
    """Answer what is missing or breaks with a plain refusal: a server's error would be tried again 25 times."""
    try:
        return call_action_of_moto(self)
    except (ServiceException, HTTPException):
        raise
    except Exception as error:
        traceback.print_exc()
        print(f"emulator: {self.service_name} failed: {error!r}", file=sys.stderr, flush=True)
        return 400, {"status": 400}, json.dumps({"__type": "UnsupportedOperation", "message": repr(error)})


if __name__ == "__main__":
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # AmazonEMRServicePolicy_v2
    os.environ["MOTO_PORT"] = sys.argv[1]  # for the clients of Step Functions' interpreter
    # Each request has moto list its modules anew, which takes as long as the answer.
    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: iter(modules)
    for part in (emr, ec2, policies, amazon, quotas, stepfunctions):
        part.install()
    setattr(BaseResponse, "call_action", call_action)  # noqa: B010
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
