# Invalid input is refused before planning. Each run starts the provider, which is slow, so each run has one invalid value
# in several variables, and all must be refused. The messages are tested in tests/infra/test_checks.py.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "first_mistakes" {
  command = plan

  variables {
    project        = "MSD"
    environment    = "my-dev"
    region         = "cn-north-1"
    tags           = { Project = "other" }
    release        = { code = "code.zip", environment = "environment/e.tar.gz", certificates = "certificates/c.zip" }
    songs_location = "s3://my-songs"
    network        = { cidr = "10.0.0.0/24" }
    storage        = { infrequent_raw_days = 7 }
    emr            = { release_label = "emr-6.15.0" }
    gpu            = { workers = 1.5 }
    observability  = { email = "me" }
  }

  expect_failures = [
    var.project,
    var.environment,
    var.region,
    var.tags,
    var.release,
    var.songs_location,
    var.network,
    var.storage,
    var.emr,
    var.gpu,
    var.observability,
  ]
}

run "second_mistakes" {
  command = plan

  variables {
    network       = { zones = 0 }
    storage       = { log_days = 0 }
    emr           = { release_label = "emr-7.1.0" } # before Python 3.11
    gpu           = { volume_gb = 30 }
    ingest        = { folder = "/data" }
    observability = { log_days = 100 }
  }

  expect_failures = [
    var.network,
    var.storage,
    var.emr,
    var.gpu,
    var.ingest,
    var.observability,
  ]
}

run "emr_on_arm_and_a_snapshot_elsewhere" {
  command = plan

  variables {
    region = "eu-west-1"
    emr    = { core_instance_types = ["m6g.2xlarge"] }
    gpu    = { ami_id = "ubuntu" }
    ingest = { enabled = true }
  }

  expect_failures = [var.emr, var.gpu, var.ingest]
}

run "emr_on_small_nodes_and_a_copy_of_songs_elsewhere" {
  command = plan

  variables {
    songs_location = "s3://my-songs/msd"
    emr            = { core_instance_types = ["m6i.large"] }
    gpu            = { idle_minutes = 5 }
    ingest         = { enabled = true }
  }

  expect_failures = [var.emr, var.gpu, var.ingest]
}

run "emr_without_core" {
  command = plan

  variables {
    ingest        = { snapshot_id = "msd" }
    emr           = { core_vcpus = 0 }
    observability = { monthly_budget_usd = -1 }
  }

  expect_failures = [var.emr, var.ingest, var.observability]
}

run "emr_idle_for_ever" {
  command = plan

  variables {
    emr = { idle_minutes = 0 }
  }

  expect_failures = [var.emr]
}

run "emr_types_twice" {
  command = plan

  variables {
    emr = { task_instance_types = ["m5.2xlarge", "m5.2xlarge"] }
  }

  expect_failures = [var.emr]
}

run "step_of_no_job" {
  command = plan

  variables {
    emr = { steps = [{ name = "x", job = "ingestion" }] }
  }

  expect_failures = [var.emr]
}
