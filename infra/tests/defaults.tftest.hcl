# Runs without AWS, network or credentials: the provider is mocked.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  release = {
    code         = "code/code-0123.tar.gz"
    environment  = "environment/environment-0123.tar.gz"
    certificates = "certificates/certificates-0123.zip"
  }
}

run "without_a_release_nothing_costly" {
  command = plan

  variables {
    release = null
  }

  assert {
    condition     = length(module.emr) == 0 && length(module.gpu_workers) == 0 && length(module.ingest) == 0
    error_message = "without a release there must be no cluster and no workers"
  }

  assert {
    condition     = sort(keys(module.storage.buckets)) == tolist(["artefacts", "logs", "raw", "warehouse"])
    error_message = "the buckets must exist for `make package` to fill"
  }

  assert {
    condition     = output.horovodrun == null && length(output.spark_submit) == 0
    error_message = "commands that cannot run must not be printed"
  }
}

run "defaults" {
  command = apply # all of it is mocked; outputs are known only then

  assert {
    condition     = length(module.emr) == 1 && length(module.gpu_workers) == 1 && length(module.ingest) == 0
    error_message = "a release must create a cluster and workers, and no ingest instance by default"
  }

  assert {
    condition     = startswith(output.horovodrun, "horovodrun -np 4 training/train.py ")
    error_message = "the default must have four GPUs, for horovodrun -np 4"
  }

  assert {
    condition     = startswith(output.spark_submit["ingest"], "spark-submit jobs/ingest.py --songs s3://")
    error_message = "the command of the stage must be the documented one"
  }

  assert {
    condition     = output.ingest_instance_id == null
    error_message = "ingest must be off by default"
  }
}

run "workers_by_number" {
  command = apply

  variables {
    gpu = { workers = 2 }
  }

  assert {
    condition     = startswith(output.horovodrun, "horovodrun -np 8 ")
    error_message = "two workers with four GPUs must have eight ranks"
  }

  assert {
    condition     = endswith(output.commands.wake, "--desired-capacity 2")
    error_message = "waking must start all workers"
  }
}

run "everything_off" {
  command = apply

  variables {
    emr           = { enabled = false }
    gpu           = { enabled = false }
    observability = { monthly_budget_usd = 0 }
  }

  assert {
    condition     = output.emr_cluster_id == null && output.gpu_group == null && join(",", keys(output.commands)) == "package"
    error_message = "a disabled part must not be created, nor its commands printed"
  }
}

run "ingest_on" {
  command = apply

  variables {
    ingest = { enabled = true }
  }

  assert {
    condition     = output.ingest_instance_id != null && contains(keys(output.commands), "copied")
    error_message = "ingest.enabled must create the instance"
  }
}

run "songs_of_ones_own" {
  command = apply

  variables {
    songs_location = "s3://my-songs/msd/"
  }

  assert {
    condition     = strcontains(output.spark_submit["ingest"], "--songs s3://my-songs/msd ")
    error_message = "ingest must read the bucket that was named"
  }
}
