"""What a program is to the machine that it runs on: devices, processes, memory, threads, weights in shards,
signals."""
