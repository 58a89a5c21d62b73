"""Networks on torch: modules, their losses, one training loop. Imported inside methods only."""
