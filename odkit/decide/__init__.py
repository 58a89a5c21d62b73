"""From scores to decisions: calibrated p-values, false discovery rate, thresholds. They wrap any detector."""
