"""Other processes: commands run for an alert, trainings that are started, watched and stopped."""
