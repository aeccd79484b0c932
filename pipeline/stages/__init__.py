"""The stages: scan, plan, build, verify, report; each callable from a notebook."""
