"""What the fuzz tests share: seeds, damage, independent writers, and the coverage-guided run."""
