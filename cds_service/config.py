"""Settings, from the environment (CDS_...), and the content that they name. What is unsafe is refused at start."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service.errors import SettingsError

PACKAGE = Path(__file__).parent
HOME = PACKAGE / "content" if (PACKAGE / "content").is_dir() else PACKAGE.parent  # in the wheel, else in the checkout

KEY_LENGTH = 32  # characters of the key of the patient hash; "openssl rand -hex 32" gives 64


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
    keep_response_days: int = Field(30, ge=1, le=365)
    keep_record_days: int = Field(
        1830, ge=30
    )  # days that always cover five years, the least that Dutch law asks of a care record's log
    patient_key: SecretStr = SecretStr("development")
    patient_key_file: Path | None = None
    metrics_token: SecretStr = SecretStr("")
    metrics_token_file: Path | None = None
    clients: Path | None = None
    hooks: str = Field("all", pattern=r"^[a-z0-9.,-]+$")
    group_services: bool = False
    discovery_versions: bool = True
    origins: str = Field("", pattern=r"^(https?://[^\s,/*]+(,https?://[^\s,/*]+)*)?$")
    allow_unsigned: bool = False
    development: bool = False
    development_any_address: bool = False
    development_any_database: bool = False

    @property
    def public(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def has_patient_key(self) -> bool:
        """Whether there is a key that nobody can guess."""
        return len(self.patient_key.get_secret_value()) >= KEY_LENGTH

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Where browsers may call from; in development mode also the public CDS Hooks Sandbox."""
        named = tuple(self.origins.split(",")) if self.origins else ()
        return named or (("https://sandbox.cds-hooks.org",) if self.development else ())


def read_settings() -> Settings:
    """The settings in force. Raises SettingsError with one clear line when they are wrong."""
    try:
        settings = _with_secrets(Settings())
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise SettingsError(f"CDS_{str(fault['loc'][0]).upper()}: {fault['msg']}") from None
    if settings.fresh_days > settings.alarm_days:
        raise SettingsError("CDS_FRESH_DAYS: is more than CDS_ALARM_DAYS; alarms must count at least as long")
    if settings.keep_response_days < settings.alarm_days:
        least = f"write {settings.alarm_days} or more, as CDS_ALARM_DAYS says"
        raise SettingsError(f"CDS_KEEP_RESPONSE_DAYS: would remove alarms that still count; {least}")
    if 0 < len(settings.metrics_token.get_secret_value()) < KEY_LENGTH:
        raise SettingsError(f"CDS_METRICS_TOKEN: is short; write a secret of {KEY_LENGTH} characters or more")
    return settings


def load_content(settings: Settings) -> tuple[Screening, ...]:
    """The content at CDS_CONTENT, compiled. Raises ContentError with every mistake in it."""
    days = {"fresh_days": settings.fresh_days, "alarm_days": settings.alarm_days}
    return load(settings.content, base=settings.canonical_base, **days)


def _with_secrets(settings: Settings) -> Settings:
    """The settings with the secrets that stand in files of their own, as containers and systemd hand them over."""
    read = {name: _secret(settings, name) for name in ("patient_key", "metrics_token")}
    return settings.model_copy(update={name: secret for name, secret in read.items() if secret})


def _secret(settings: Settings, name: str) -> SecretStr | None:
    path: Path | None = getattr(settings, f"{name}_file")
    if path is None:
        return None
    place = f"CDS_{name.upper()}_FILE"
    if name in settings.model_fields_set:
        raise SettingsError(f"{place}: CDS_{name.upper()} is set as well; write one of them")
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeError):
        raise SettingsError(f"{place}: cannot be read; write a text file that this user may read") from None
    if not secret:
        raise SettingsError(f"{place}: is empty; write the secret into the file")
    return SecretStr(secret)
