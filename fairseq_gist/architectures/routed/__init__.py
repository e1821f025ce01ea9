"""What every model here does beside what the stock one does."""
