"""What an alert triggers: commands, webhooks, files, a stop of the training."""
