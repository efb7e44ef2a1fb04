"""What starts replicas: one launcher in each file. The first look-up of a launcher loads them all."""
