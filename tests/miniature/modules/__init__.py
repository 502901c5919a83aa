"""The package an extension knows as `modules`. Names and signatures are those of A1111 v1.10.1."""
