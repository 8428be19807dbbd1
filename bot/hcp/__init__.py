"""HCP Terraform and Terraform Enterprise as a service: below the backend that reads their locks and the source of their
runs, which both end runs by the same rules.
"""
