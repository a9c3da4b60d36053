"""The only package that knows SQL: tables, migrations, the writer, queries."""
