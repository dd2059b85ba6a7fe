"""From content files to compiled screenings: read, checked, and written out for a clinician to review."""
