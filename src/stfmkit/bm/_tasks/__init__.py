"""What is asked of an embedding: tasks, probes, scores, controls."""
