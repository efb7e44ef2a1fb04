"""What an alert sets off: commands, webhooks, files, a stop of the training."""
