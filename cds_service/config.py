"""Settings, from the environment (CDS_...). What is unsafe is refused at start."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cds_service.errors import SettingsError

PACKAGE = Path(__file__).parent
HOME = PACKAGE / "content" if (PACKAGE / "content").is_dir() else PACKAGE.parent  # in the wheel, else in the checkout


class Settings(BaseSettings):
    """Each field is set by the environment variable CDS_ + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="CDS_", frozen=True)
    content: Path = HOME
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=1, le=65535)
    public_url: str = Field("", pattern=r"^(https?://[^\s]+[^/\s])?$")
    canonical_base: str = Field("https://lowbackpain.example/fhir", pattern=r"^https?://[^\s|#]+[^/\s|#]$")
    database_url: str = "sqlite:///cds-service.sqlite"
    fresh_days: int = Field(7, ge=1, le=30)
    alarm_days: int = Field(30, ge=7, le=365)
    development: bool = False
    development_any_address: bool = False

    @property
    def public(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"


def read_settings() -> Settings:
    """The settings in force. Raises SettingsError with one clear line when they are wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise SettingsError(f"CDS_{str(fault['loc'][0]).upper()}: {fault['msg']}") from None
    if settings.fresh_days > settings.alarm_days:
        raise SettingsError("CDS_FRESH_DAYS: is more than CDS_ALARM_DAYS; alarms must count at least as long")
    return settings


def refuse_unsafe(settings: Settings) -> None:
    """Raises SettingsError, with one clear line, where serving with these settings would not be safe."""
    if not settings.development:
        raise SettingsError("CDS_DEVELOPMENT: without authentication only development mode starts; set it to 1")
    if settings.host not in ("127.0.0.1", "localhost") and not settings.development_any_address:
        raise SettingsError("CDS_HOST: nobody is authenticated; write 127.0.0.1, or set CDS_DEVELOPMENT_ANY_ADDRESS=1")
