"""What a job of the scale net leaves for its readers: scores, words, figures, one page."""
