variable "name" {
  description = "What everything is called, and begins with"
  type        = string
  default     = "tflock"
}

variable "image" {
  description = "The image of deploy/Dockerfile in your registry, with its digest"
  type        = string
}

variable "policy_file" {
  description = "The output of: tflock policy --format json"
  type        = string
}

variable "config_parameter" {
  description = "ARN of the SSM parameter (or secret) whose value is tflock.yml"
  type        = string
}

variable "secrets" {
  description = "ARNs of SSM parameters or secrets, by the variable that each is for: SLACK_BOT_TOKEN, REDIS_URL, …"
  type        = map(string)
}

variable "environment" {
  description = "Plain variables, such as AWS_REGION and LOG_LEVEL"
  type        = map(string)
  default     = {}
}

variable "cluster" {
  description = "ARN of the ECS cluster"
  type        = string
}

variable "subnets" {
  description = "Subnets with a way to Slack, Redis, the stores and the CI systems"
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups of the tasks"
  type        = list(string)
}

variable "target_group" {
  description = "ARN of the load balancer's target group for web (port 3000, health check /readyz); null for Socket Mode"
  type        = string
  default     = null
}

variable "replicas" {
  description = "Tasks of web, and of worker"
  type        = number
  default     = 2
}

variable "cpu" {
  description = "CPU units of a task"
  type        = number
  default     = 512
}

variable "memory" {
  description = "MiB of a task"
  type        = number
  default     = 1024
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the log"
  type        = number
  default     = 90
}
