"""From the bytes of a CSV file to clean rows, rejected rows and a receipt."""
