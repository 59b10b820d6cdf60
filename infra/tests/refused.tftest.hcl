# Invalid input is refused before planning. Each run starts the provider, which is slow, so each run has one invalid value
# in several variables, and all must be refused. The messages, and invalid values that one plan can have together, are
# tested in tests/infra/test_checks.py.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "one_mistake_per_variable" {
  command = plan

  variables {
    project              = "MSD"
    environment          = "my-dev"
    region               = "cn-north-1"
    tags                 = { Project = "other" }
    release              = { code = "code.zip", environment = "environment/e.tar.gz", gpu_environment = "e", certificates = "certificates/c.zip" }
    data_location        = "my-songs"
    permissions_boundary = "boundary"
    network              = { cidr = "10.0.0.0/24" }
    storage              = { infrequent_raw_days = 7 }
    run                  = { attempts = 0 }
    emr                  = { release_label = "emr-6.15.0" }
    gpu                  = { workers = 1.5 }
    observability        = { email = "me" }
  }

  expect_failures = [
    var.project,
    var.environment,
    var.region,
    var.tags,
    var.release,
    var.data_location,
    var.permissions_boundary,
    var.network,
    var.storage,
    var.run,
    var.emr,
    var.gpu,
    var.observability,
  ]
}

run "emr_on_arm" {
  command = plan

  variables {
    emr = { core_instance_types = ["m6g.2xlarge"] }
    gpu = { ami_id = "ubuntu" }
  }

  expect_failures = [var.emr, var.gpu]
}

run "emr_on_nodes_that_fit_no_executor" {
  command = plan

  variables {
    emr     = { core_instance_types = ["c6i.xlarge"] }
    gpu     = { idle_minutes = 5 }
    network = { vpc_id = "vpc-1" }
  }

  expect_failures = [var.emr, var.gpu, var.network]
}

run "a_primary_node_without_memory_for_the_driver" {
  command = plan

  variables {
    emr = { primary_instance_types = ["m6i.xlarge"] }
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
