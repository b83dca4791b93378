"""What a person looks at: closing tables, figures, and a report in one HTML file.

table      tables for the terminal
figures    charts as PNG
html       a report that needs no other file
metrics    the numbers of a run, as JSON
"""
