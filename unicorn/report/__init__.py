"""What a person looks at: closing tables, figures, and a report in one HTML file.

table      tables for the terminal
figures    charts as PNG
html       a report that needs no other file
progress   a bar on a terminal, a line in the log elsewhere
metrics    the numbers of a run, as JSON
"""
