"""What a job of sequence nets leaves for its readers: scores, words, figures, one page."""
