"""The learning side: three-stage domain-adversarial tagger, its baselines and its evaluation."""
