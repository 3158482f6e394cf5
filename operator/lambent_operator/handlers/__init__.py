"""What kopf calls when an object changes: each handler puts the object into the observation, and that wakes the work queue."""
