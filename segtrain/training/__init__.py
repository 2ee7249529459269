"""From settings to a trained and scored network."""
