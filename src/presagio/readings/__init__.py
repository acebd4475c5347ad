"""What a reading may be, one definition for all doors; files of readings, read under limits."""
