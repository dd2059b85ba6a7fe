"""Settings, from the environment (CDS_...). What is unsafe is refused at start."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cds_service.clients import Client
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
    metrics_token: SecretStr = SecretStr("")
    clients: Path | None = None
    hooks: str = Field("all", pattern=r"^[a-z0-9.,-]+$")
    group_services: bool = False
    discovery_versions: bool = True
    origins: str = Field("", pattern=r"^(https?://[^\s,/*]+(,https?://[^\s,/*]+)*)?$")
    allow_unsigned: bool = False
    development: bool = False
    development_any_address: bool = False

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
        settings = Settings()
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise SettingsError(f"CDS_{str(fault['loc'][0]).upper()}: {fault['msg']}") from None
    if settings.fresh_days > settings.alarm_days:
        raise SettingsError("CDS_FRESH_DAYS: is more than CDS_ALARM_DAYS; alarms must count at least as long")
    if settings.keep_response_days < settings.alarm_days:
        least = f"write {settings.alarm_days} or more, as CDS_ALARM_DAYS says"
        raise SettingsError(f"CDS_KEEP_RESPONSE_DAYS: would remove alarms that still count; {least}")
    return settings


def refuse_unsafe(settings: Settings, clients: Mapping[str, Client], *, signed: bool) -> None:
    """Raises SettingsError, with one clear line, where serving with these settings would not be safe."""
    unsafe = _unsafe_development(settings) if settings.development else _unsafe_production(settings, clients, signed)
    if unsafe:
        raise SettingsError(unsafe)


def _unsafe_development(settings: Settings) -> str:
    if settings.host not in ("127.0.0.1", "localhost") and not settings.development_any_address:
        return "CDS_HOST: nobody is authenticated; write 127.0.0.1, or set CDS_DEVELOPMENT_ANY_ADDRESS=1"
    return ""


def _unsafe_production(settings: Settings, clients: Mapping[str, Client], signed: bool) -> str:
    for name, client in clients.items():
        if any(not server.startswith("https://") for server in client.fhir_servers):
            return f"CDS_CLIENTS: {name}.fhir-servers: is not https; write https, or set CDS_DEVELOPMENT=1"
    if not any(client.issuer for client in clients.values()):
        return "CDS_CLIENTS: no client can be authenticated; write one with issuer and jwks, or set CDS_DEVELOPMENT=1"
    if not settings.has_patient_key:
        return f"CDS_PATIENT_KEY: is missing or short; write a secret of {KEY_LENGTH} characters or more, and keep it"
    if not settings.public.startswith("https://"):
        return "CDS_PUBLIC_URL: is not https; write the https address that clients call, or set CDS_DEVELOPMENT=1"
    if not signed and not settings.allow_unsigned:
        return "CDS_ALLOW_UNSIGNED: no clinician has signed the content; have it signed, or set it to 1"
    return ""
