"""Quotas of EC2 in running vCPUs, which moto's Service Quotas do not know."""

from __future__ import annotations

import json
from typing import Any

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from tests.infra.emulator import play

QUOTAS = {
    "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 256.0),
    "L-34B43A08": ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 256.0),
    "L-DB2E81BA": ("Running On-Demand G and VT instances", 192.0),
    "L-3819A6DF": ("All G and VT Spot Instance Requests", 192.0),
    "L-417A185B": ("Running On-Demand P instances", 0.0),
    "L-C4BD4855": ("All P5 Spot Instance Requests", 0.0),
    "L-7212CCBC": ("All P4, P3 and P2 Spot Instance Requests", 0.0),
}
"""Name and value by code; ``quotas.json`` in the folder of `play` has other values."""

quota_of_moto = ServiceQuotasBackend.get_service_quota


def quota(code: str) -> dict[str, Any]:
    """Return a quota of EC2 as it is described."""
    if code not in QUOTAS:
        raise NoSuchResource
    name, value = QUOTAS[code]
    override = play.folder() / "quotas.json"
    values = json.loads(override.read_text()) if override.exists() else {}
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(values.get(code, value)),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
    """Return a quota."""
    return quota(quota_code) if service_code == "ec2" else quota_of_moto(self, service_code, quota_code)


def list_service_quotas(self: ServiceQuotasResponse) -> str:
    """Return the quotas of EC2, or of VPC."""
    service = str(json.loads(self.body)["ServiceCode"])
    quotas = (
        [quota(code) for code in QUOTAS] if service == "ec2" else self.backend.list_aws_default_service_quotas(service)
    )
    return json.dumps({"Quotas": quotas})


def install() -> None:
    """Teach moto's Service Quotas these calls."""
    setattr(ServiceQuotasBackend, "get_service_quota", get_service_quota)  # noqa: B010
    setattr(ServiceQuotasResponse, "list_service_quotas", list_service_quotas)  # noqa: B010
