"""What a program is to the machine that it runs on: devices, processes, signals."""
