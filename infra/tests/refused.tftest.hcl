# Invalid input is refused before planning. Each run starts the provider, which is slow, so each run has one invalid value
# in several variables, and all must be refused. The messages, and invalid values that one plan can have together, are
# tested in tests/infra/test_checks.py.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "one_mistake_per_variable" {
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

run "emr_types_twice" {
  command = plan

  variables {
    emr = { task_instance_types = ["m5.2xlarge", "m5.2xlarge"] }
  }

  expect_failures = [var.emr]
}
