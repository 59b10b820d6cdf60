"""Build a release for a cluster and upload it to the artefacts bucket.

Run ``make package BUCKET=... REGION=...``. A release is the code, the Python environments of the Spark nodes and of the
GPU workers, and the certificate by which Spark nodes encrypt their traffic. Each file is named by its content, so that
unchanged files are not uploaded again. Terraform reads the names from ``infra/release.auto.tfvars.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pyarrow import fs
from tqdm import tqdm

from msd_spark.core.command_line import reported
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.summary import Summary
from tools.deployment.certificates import make_certificates
from tools.deployment.code import STAGE, pack_code
from tools.deployment.environment import pack_environments

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT = REPOSITORY / "build" / "package"
RELEASE = REPOSITORY / "infra" / "release.auto.tfvars.json"
PIECE = 8 << 20


def build(region: str, folder: Path, spark_only: bool = False) -> dict[str, Path]:
    """Build every part in `folder`, or those of the Spark nodes; return the paths by part."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("code-*.tar.gz"):
        old.unlink()
    return {
        "code": pack_code(REPOSITORY, folder),
        **pack_environments(REPOSITORY, folder, ["environment"] if spark_only else None),
        "certificates": make_certificates(folder, region),
    }


def keys(parts: dict[str, Path]) -> dict[str, str]:
    """Return the key of each part in the artefacts bucket."""
    return {part: f"{part}/{path.name}" for part, path in parts.items()}


def upload(bucket: str, parts: dict[str, Path]) -> int:
    """Upload the missing parts; return the number of bytes sent.

    Raises
    ------
    UserError
        If the bucket refuses a part.
    """
    filesystem, root, _ = open_location(f"s3://{bucket}")
    sent = 0
    for part, key in keys(parts).items():
        path, target = parts[part], f"{root}/{key}"
        try:
            remote = filesystem.get_file_info(target)
            if remote.type == fs.FileType.File and remote.size == path.stat().st_size:
                continue
            with (
                path.open("rb") as source,
                filesystem.open_output_stream(target, compression=None) as sink,  # else .gz is compressed once more
                tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=part, file=sys.stderr) as bar,
            ):
                while piece := source.read(PIECE):
                    sink.write(piece)
                    bar.update(len(piece))
        except OSError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"s3://{bucket}/{key} was not written: {reason}") from None
        sent += path.stat().st_size
    return sent


def main() -> None:
    """Run ``make package``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", help="artefacts bucket (terraform output buckets); if omitted, nothing is uploaded")
    parser.add_argument("--region", default="us-east-1", help="region of the cluster, for its certificate")
    parser.add_argument("--folder", type=Path, default=BUILT, help="folder for the built parts")
    parser.add_argument("--release", type=Path, default=RELEASE, help="file with the names, which Terraform reads")
    parser.add_argument("--spark-only", action="store_true", help="leave out the environment of GPU workers")
    arguments = parser.parse_args()
    summary = Summary(STAGE)
    parts = build(arguments.region, arguments.folder, arguments.spark_only)
    for part, path in parts.items():
        summary.facts[f"{part}, bytes"] = path.stat().st_size
    if arguments.bucket:
        summary.facts["uploaded, bytes"] = upload(arguments.bucket, parts)
        arguments.release.write_text(json.dumps({"release": keys(parts)}, indent=2) + "\n")
    print(summary.table())


if __name__ == "__main__":
    with reported(STAGE):
        main()
