"""The configuration: models, defaults and loading."""
