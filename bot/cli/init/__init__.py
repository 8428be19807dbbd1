"""`tflock init`: from the files of a checkout to a configuration to start from. It runs nothing of what it reads.

tree.py      the files of a checkout, within bounds, and where it was cloned from
holes.py     texts of which a part is only known when a pipeline runs
syntax.py    HCL and YAML into plain values with lines; what cannot be read is a fault with its file and line
roots.py     folders with a backend block, a cloud block or Terragrunt's remote_state
shell.py     scripts into the Terraform commands that they run, with their folders
github.py gitlab.py azure.py jenkins.py others.py
             pipelines into `Use`s: what runs Terraform, where, with which backend configuration and workspace
join.py      folders and uses into states
live/        with --live: what the stores and the CI systems themselves say
write.py     states into the commented file
command.py   the command: reads, joins, writes or shows the difference
"""
