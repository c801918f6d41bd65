"""Training programs as people have them, to compare with `--command`: docs/telling-progress.md says what they tell."""
