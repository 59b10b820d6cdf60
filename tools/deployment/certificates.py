"""Make the certificate with which a cluster's nodes encrypt their traffic.

EMR reads a zip of PEM files from S3. The certificate is self-signed and used between the nodes only. Its key goes to
the bucket and nowhere else, so it is not in Terraform's state.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

from msd_spark.core.errors import UserError
from tools.deployment.archive import named_by_contents

DAYS = 730


def node_names(region: str) -> str:
    """Return the wildcard host name of a region's private nodes."""
    return "*.ec2.internal" if region == "us-east-1" else f"*.{region}.compute.internal"


def make_certificates(folder: Path, region: str) -> Path:
    """Write ``REGION/certificates-CHECKSUM.zip`` to `folder`, unless it exists; return its path.

    Raises
    ------
    UserError
        If OpenSSL is missing or fails.
    """
    archives = sorted((folder / region).glob("certificates-*.zip"))
    if archives:
        return archives[0]
    if not shutil.which("openssl"):
        raise UserError("openssl is needed to make the cluster's certificate: apt-get install openssl")
    shelf = folder / region
    shelf.mkdir(parents=True, exist_ok=True)
    key, certificate = shelf / "privateKey.pem", shelf / "certificateChain.pem"
    name = node_names(region)
    key.touch(mode=0o600)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(DAYS), "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    if outcome.returncode:
        raise UserError(f"openssl failed to make a certificate: {outcome.stderr.strip()}")
    archive = shelf / "certificates.zip"
    archive.touch(mode=0o600)
    with zipfile.ZipFile(archive, "w") as target:
        target.write(key, "privateKey.pem")
        target.write(certificate, "certificateChain.pem")
        target.write(certificate, "trustedCertificates.pem")
    key.unlink()
    certificate.unlink()
    return named_by_contents(archive)
