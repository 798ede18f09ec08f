"""The wire's own messages, generated from `proto/hookwire/v1`: every field is commented there."""
