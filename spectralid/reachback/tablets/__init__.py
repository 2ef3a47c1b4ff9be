"""What comes from tablets and goes to them: enrolment, ingest, daily checks, answers."""
