"""Other processes: commands that an alert runs, and trainings that are started, watched and stopped."""
