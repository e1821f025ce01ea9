"""What a run saw, decided and achieved, as pictures, numbers and words on one page."""
