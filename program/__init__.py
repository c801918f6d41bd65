"""A training program that this project did not write: what it tells of its progress, and what is measured by that."""
