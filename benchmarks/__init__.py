"""Lambent's figures: measured beside baselines, in one run, as ratios. `docs/benchmarks.md` says how to read them."""
