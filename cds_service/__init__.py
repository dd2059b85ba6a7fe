"""A CDS Hooks service for screenings: Questionnaire in, advice as cards out."""

__version__ = "0.1.0"
