"""Measure latency, saturated throughput, memory and the state of the machine."""
