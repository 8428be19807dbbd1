output "task_role_arn" {
  description = "The role that the bot has; let it assume the roles under aws.assumed of the policy, if there are any"
  value       = aws_iam_role.task.arn
}
