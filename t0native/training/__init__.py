"""Training: settings, batches, steps, run folders, forecasts, recipes."""
