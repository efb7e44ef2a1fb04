"""Commands about rewards and reward models."""
