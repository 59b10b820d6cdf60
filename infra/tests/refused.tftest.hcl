# Bad input is refused before anything is planned.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "project_in_capitals" {
  command = plan

  variables {
    project = "MSD"
  }

  expect_failures = [var.project]
}

run "environment_with_a_dash" {
  command = plan

  variables {
    environment = "my-dev"
  }

  expect_failures = [var.environment]
}

run "region_of_china" {
  command = plan

  variables {
    region = "cn-north-1"
  }

  expect_failures = [var.region]
}

run "tags_of_the_rule" {
  command = plan

  variables {
    tags = { Project = "other" }
  }

  expect_failures = [var.tags]
}

run "release_of_another_kind" {
  command = plan

  variables {
    release = { code = "code.zip", environment = "environment/e.tar.gz", certificates = "certificates/c.zip" }
  }

  expect_failures = [var.release]
}

run "songs_location_without_prefix" {
  command = plan

  variables {
    songs_location = "s3://my-songs"
  }

  expect_failures = [var.songs_location]
}

run "network_too_small" {
  command = plan

  variables {
    network = { cidr = "10.0.0.0/24" }
  }

  expect_failures = [var.network]
}

run "network_without_zones" {
  command = plan

  variables {
    network = { zones = 0 }
  }

  expect_failures = [var.network]
}

run "infrequent_too_early" {
  command = plan

  variables {
    storage = { infrequent_raw_days = 7 }
  }

  expect_failures = [var.storage]
}

run "old_emr" {
  command = plan

  variables {
    emr = { release_label = "emr-6.15.0" }
  }

  expect_failures = [var.emr]
}

run "emr_before_python_3_11" {
  command = plan

  variables {
    emr = { release_label = "emr-7.1.0" }
  }

  expect_failures = [var.emr]
}

run "emr_on_arm" {
  command = plan

  variables {
    emr = { core_instance_types = ["m6g.2xlarge"] }
  }

  expect_failures = [var.emr]
}

run "emr_on_small_nodes" {
  command = plan

  variables {
    emr = { core_instance_types = ["m6i.large"] }
  }

  expect_failures = [var.emr]
}

run "emr_without_core" {
  command = plan

  variables {
    emr = { core_vcpus = 0 }
  }

  expect_failures = [var.emr]
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

run "gpu_half_a_worker" {
  command = plan

  variables {
    gpu = { workers = 1.5 }
  }

  expect_failures = [var.gpu]
}

run "gpu_small_disk" {
  command = plan

  variables {
    gpu = { volume_gb = 30 }
  }

  expect_failures = [var.gpu]
}

run "gpu_image_by_name" {
  command = plan

  variables {
    gpu = { ami_id = "ubuntu" }
  }

  expect_failures = [var.gpu]
}

run "gpu_sleeps_too_soon" {
  command = plan

  variables {
    gpu = { idle_minutes = 5 }
  }

  expect_failures = [var.gpu]
}

run "snapshot_elsewhere" {
  command = plan

  variables {
    region = "eu-west-1"
    ingest = { enabled = true }
  }

  expect_failures = [var.ingest]
}

run "ingest_of_songs_elsewhere" {
  command = plan

  variables {
    songs_location = "s3://my-songs/msd"
    ingest         = { enabled = true }
  }

  expect_failures = [var.ingest]
}

run "snapshot_by_name" {
  command = plan

  variables {
    ingest = { snapshot_id = "msd" }
  }

  expect_failures = [var.ingest]
}

run "folder_outside" {
  command = plan

  variables {
    ingest = { folder = "/data" }
  }

  expect_failures = [var.ingest]
}

run "email_without_at" {
  command = plan

  variables {
    observability = { email = "me" }
  }

  expect_failures = [var.observability]
}

run "log_days_unknown" {
  command = plan

  variables {
    observability = { log_days = 100 }
  }

  expect_failures = [var.observability]
}
