# tflock on ECS with Fargate: web and worker as two services, with the rights that `tflock policy` prints and no more.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.0" }
  }
}

data "aws_region" "here" {}

locals {
  parts = {
    web    = { command = ["serve", "--no-worker"], port = 3000, variable = "PORT" }
    worker = { command = ["worker"], port = 3001, variable = "WORKER_PORT" }
  }
  # Who starts the tasks has to read the configuration and the secrets; the bot itself does not.
  values = merge(var.secrets, { TFLOCK_YML = var.config_parameter })
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  assume_role_policy = data.aws_iam_policy_document.ecs.json
}

# The least rights for this configuration: tflock policy --format json > policy.json
resource "aws_iam_role_policy" "task" {
  name   = "tflock"
  role   = aws_iam_role.task.id
  policy = jsonencode(jsondecode(file(var.policy_file)).aws.policy)
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.ecs.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "execution" {
  name   = "values"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.values.json
}

data "aws_iam_policy_document" "ecs" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "values" {
  statement {
    actions   = ["ssm:GetParameters", "secretsmanager:GetSecretValue"]
    resources = values(local.values)
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_ecs_task_definition" "this" {
  for_each                 = local.parts
  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn

  volume { name = "tmp" }
  volume { name = "exports" }
  volume { name = "config" }

  container_definitions = jsonencode([
    {
      # writes the configuration from its parameter into a file, and ends
      name                   = "config"
      image                  = var.image
      essential              = false
      user                   = "0"
      entryPoint             = ["python", "-c"]
      command                = ["import os, pathlib; pathlib.Path('/etc/tflock/tflock.yml').write_text(os.environ['TFLOCK_YML']); [os.chmod(p, 0o1777) for p in ('/tmp', '/srv/tflock/exports')]"]
      readonlyRootFilesystem = true
      secrets                = [{ name = "TFLOCK_YML", valueFrom = var.config_parameter }]
      mountPoints            = local.mounts
    },
    {
      name                   = each.key
      image                  = var.image
      essential              = true
      command                = each.value.command
      readonlyRootFilesystem = true
      stopTimeout            = 20
      dependsOn              = [{ containerName = "config", condition = "SUCCESS" }]
      portMappings           = [{ containerPort = each.value.port, protocol = "tcp" }]
      environment            = [for name, value in merge(var.environment, { (each.value.variable) = tostring(each.value.port) }) : { name = name, value = value }]
      secrets                = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
      mountPoints            = local.mounts
      healthCheck = {
        command     = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:${each.value.port}/livez', timeout=3)"]
        interval    = 15
        timeout     = 5
        retries     = 4
        startPeriod = 60
      }
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this.name
          awslogs-region        = data.aws_region.here.id
          awslogs-stream-prefix = each.key
        }
      }
    },
  ])
}

locals {
  mounts = [
    { sourceVolume = "config", containerPath = "/etc/tflock" },
    { sourceVolume = "exports", containerPath = "/srv/tflock/exports" },
    { sourceVolume = "tmp", containerPath = "/tmp" },
  ]
}

resource "aws_ecs_service" "this" {
  for_each        = local.parts
  name            = "${var.name}-${each.key}"
  cluster         = var.cluster
  task_definition = aws_ecs_task_definition.this[each.key].arn
  desired_count   = var.replicas
  launch_type     = "FARGATE"

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  network_configuration {
    subnets         = var.subnets
    security_groups = var.security_groups
  }

  # With Socket Mode nobody asks from outside, and no load balancer is needed.
  dynamic "load_balancer" {
    for_each = each.key == "web" && var.target_group != null ? [var.target_group] : []
    content {
      target_group_arn = load_balancer.value
      container_name   = "web"
      container_port   = 3000
    }
  }
}
