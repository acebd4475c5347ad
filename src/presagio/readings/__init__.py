"""Reading of files in a process with limits; what a file may not do ends that process only."""
