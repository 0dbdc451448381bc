"""The outside world: files, clocks, agents, the command line. Composes engine and shm."""
