"""The same core over files of responses: one row for each line that holds something, whatever it holds."""
