"""The public functions, each declared once; every face uses that declaration."""
