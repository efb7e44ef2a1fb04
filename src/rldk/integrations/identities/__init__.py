"""What only a hook inside a trainer can measure: quantities that must hold exactly, whatever the task is."""
