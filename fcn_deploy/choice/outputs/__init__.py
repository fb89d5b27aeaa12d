"""What a choice leaves next to the file that it wrote: commands and a recipe that make it again, and the table."""
