# Runs without AWS, network or credentials: the provider is mocked.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  release = {
    code            = "code/code-0123.tar.gz"
    environment     = "environment/environment-0123.tar.gz"
    gpu_environment = "gpu_environment/gpu_environment-0123.tar.gz"
    certificates    = "certificates/certificates-0123.zip"
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
    condition     = output.stack.machine == null && join(",", keys(output.commands)) == "package"
    error_message = "commands that cannot run must not be printed"
  }
}

run "defaults" {
  command = apply # all of it is mocked; outputs are known only then

  assert {
    condition     = length(module.pipeline) == 1 && length(module.gpu_workers) == 1 && output.emr_cluster_id == null
    error_message = "a release must create a state machine and a group of workers, and no cluster that stays"
  }

  assert {
    condition     = output.stack.gpu.workers == 1 && output.stack.gpu.instance_type == "g5.12xlarge"
    error_message = "the default must have four GPUs, for horovodrun -np 4"
  }

  assert {
    condition     = output.stack.data == "s3://${output.stack.buckets.raw}"
    error_message = "the data folder must be the raw bucket"
  }

  assert {
    condition     = output.commands.run == "msd-spark aws run" && !contains(keys(output.commands), "primary")
    error_message = "commands must be those that can run"
  }
}

run "interactive" {
  command = apply

  variables {
    emr = { interactive = true }
    gpu = { workers = 2 }
  }

  assert {
    condition     = output.emr_cluster_id != null && contains(keys(output.commands), "primary")
    error_message = "interactive must create a cluster that stays"
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
    condition     = output.emr_cluster_id == null && output.stack.gpu == null && length(module.emr) == 0
    error_message = "a disabled part must not be created"
  }
}

run "data_of_ones_own" {
  command = apply

  variables {
    data_location = "s3://my-data/msd/"
  }

  assert {
    condition     = output.stack.data == "s3://my-data/msd"
    error_message = "stages must read the bucket that was named"
  }
}
