"""The networks: encoders, the heads on top of them, gradient reversal and freezing."""
