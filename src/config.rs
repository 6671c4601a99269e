//! Settings, from the environment and `.env`. A wrong value stops the start with its name and what
//! was expected.

mod concurrency;
mod env_file;
mod otlp;
mod reader;
pub(crate) mod secret_key;
mod tokens;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use object_store::path::Path;
use url::Url;
use weirgate_identity::SecretKeys;
use weirgate_queue::Concurrency;
use weirgate_web::client_address::TrustedProxies;

use self::env_file::wrong_file;
use self::reader::Reader;
use self::tokens::{checked_token, wrong_token};
use crate::client::Address;

pub use self::reader::ConfigError;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line, with trace and job ids.
    Json,
}

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// `DATABASE_URL`: the database; a private Postgres runs when it is not set.
    pub database_url: Option<String>,
    /// `SERVICE_TOKEN`: the credential of `/internal`.
    pub service_token: Option<String>,
    /// `SERVICE_TOKEN_NEXT`: the one that takes its place; both are taken while callers change to
    /// it.
    pub service_token_next: Option<String>,
    /// `WEIRGATE_SECRET_KEY`: what secrets in the database are sealed with. With it comes
    /// `WEIRGATE_SECRET_KEY_OLD`, which opens them as well. None where it is not set; the home may
    /// have one then.
    pub secret_keys: Option<SecretKeys>,
    /// `WEIRGATE_TRUSTED_PROXIES`: whose word on where a request came from is taken; nobody's when
    /// not set.
    pub trusted_proxies: TrustedProxies,
    /// `MOCK_MODE`: read sources from files.
    pub mock_mode: bool,
    /// `MOCK_DATA_PATH`: where these files are.
    pub mock_data_path: PathBuf,
    /// `WEIRGATE_SOURCES`: file with the accounts at the source systems, for `MOCK_MODE=false`.
    pub sources: Option<PathBuf>,
    /// `WEIRGATE_LISTEN`: address and port of the API.
    pub listen: SocketAddr,
    /// `WEIRGATE_METRICS_LISTEN`: address and port of a listener for monitoring alone; none when
    /// not set.
    pub metrics_listen: Option<SocketAddr>,
    /// `WEIRGATE_HOME`: what the program keeps between runs.
    pub home: PathBuf,
    /// `WEIRGATE_PG_BIN`: folder of Postgres' programs.
    pub pg_bin: Option<PathBuf>,
    /// `WEIRGATE_EXPORT_URL`: where exports go; a folder in the home when not set.
    pub export_url: Option<Url>,
    /// `WEIRGATE_PUBLIC_URL`: how clients reach the API, for the URLs in its answers.
    pub public_url: Option<String>,
    /// `WEIRGATE_URL`: the server that commands ask in place of the database.
    pub server: Option<Address>,
    /// `WEIRGATE_TOKEN`: its service token.
    pub token: Option<String>,
    /// `WEIRGATE_DB_CONNECTIONS`: most connections to the database of one process.
    pub db_connections: u32,
    /// `WEIRGATE_DOMAINS`: the domains that are served and worked; every one when not set, and none
    /// but the operations when empty.
    pub domains: Option<BTreeSet<String>>,
    /// `WEIRGATE_CONCURRENCY`: jobs at once in the queues of one worker.
    pub concurrency: Concurrency,
    /// `WEIRGATE_LEASE_S`: seconds after a worker's last heartbeat until its jobs are rescued.
    pub lease: Duration,
    /// `WEIRGATE_GRACE_S`: seconds running jobs may take to end when a worker stops.
    pub grace: Duration,
    /// `WEIRGATE_RETENTION_DAYS`: days that completed and cancelled jobs are kept after their end.
    pub retention: Duration,
    /// `WEIRGATE_DISCARDED_RETENTION_DAYS`: days that discarded jobs are kept after their end.
    pub discarded_retention: Duration,
    /// `WEIRGATE_REQUESTS_PER_S`: requests a second of one API key or token, on the whole.
    pub requests_per_second: NonZeroU32,
    /// `WEIRGATE_REQUEST_BURST`: requests at once of one API key or token.
    pub request_burst: NonZeroU32,
    /// `WEIRGATE_LOG`: what is logged, in the syntax of `tracing`'s `EnvFilter`.
    pub log: String,
    /// `WEIRGATE_LOG_FORMAT`: `pretty` or `json`.
    pub log_format: LogFormat,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: where spans are sent, in `/v1/traces` below it, or to the
    /// whole URL that `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` names; nowhere when neither is set, or
    /// `OTEL_SDK_DISABLED` is `true`.
    pub otlp_endpoint: Option<String>,
    /// `OTEL_SERVICE_NAME`: what spans say that they come from.
    pub service_name: String,
}

/// The names of all settings, for typing errors.
const NAMES: &[&str] = &[
    secret_key::NAME,
    secret_key::OLD,
    "WEIRGATE_SOURCES",
    "WEIRGATE_LISTEN",
    "WEIRGATE_TRUSTED_PROXIES",
    "WEIRGATE_METRICS_LISTEN",
    "WEIRGATE_HOME",
    "WEIRGATE_PG_BIN",
    "WEIRGATE_EXPORT_URL",
    "WEIRGATE_PUBLIC_URL",
    "WEIRGATE_URL",
    "WEIRGATE_TOKEN",
    "WEIRGATE_DB_CONNECTIONS",
    "WEIRGATE_DOMAINS",
    "WEIRGATE_CONCURRENCY",
    "WEIRGATE_LEASE_S",
    "WEIRGATE_GRACE_S",
    "WEIRGATE_RETENTION_DAYS",
    "WEIRGATE_DISCARDED_RETENTION_DAYS",
    "WEIRGATE_REQUESTS_PER_S",
    "WEIRGATE_REQUEST_BURST",
    "WEIRGATE_LOG",
    "WEIRGATE_LOG_FORMAT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    // Used by the build.
    "WEIRGATE_BUILD_DATABASE_URL",
];

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// Lists every wrong value.
    pub fn from_env() -> Result<Self, ConfigError> {
        match dotenvy::dotenv() {
            Ok(_) => {}
            Err(error) if error.not_found() => {}
            Err(error) => return Err(ConfigError::new(vec![wrong_file(&error)])),
        }
        let mut unknown: Vec<_> = std::env::vars()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("WEIRGATE_") && !NAMES.contains(&name.as_str()))
            .map(|name| format!("{name}: unknown setting; see .env.example"))
            .collect();
        unknown.sort();
        if !unknown.is_empty() {
            return Err(ConfigError::new(unknown));
        }
        Self::read(&|name| std::env::var(name).ok())
    }

    /// The settings as `get` has them, by name.
    ///
    /// # Errors
    /// Lists every wrong value.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { get, problems: Vec::new() };
        let config = Self::assemble(&mut reader);
        if reader.problems.is_empty() { Ok(config) } else { Err(ConfigError::new(reader.problems)) }
    }

    fn assemble(r: &mut Reader<'_>) -> Self {
        Self {
            database_url: r.value(
                "DATABASE_URL",
                "a Postgres URL, such as postgres://user:password@host/database",
                |text| {
                    ["postgres://", "postgresql://"]
                        .iter()
                        .any(|scheme| text.starts_with(scheme))
                        .then(|| text.to_owned())
                },
            ),
            service_token: r.text("SERVICE_TOKEN"),
            service_token_next: r.text("SERVICE_TOKEN_NEXT"),
            secret_keys: secret_key::read(r),
            trusted_proxies: r
                .value(
                    "WEIRGATE_TRUSTED_PROXIES",
                    "a list of IP addresses and networks, such as 10.0.0.0/8,192.0.2.1",
                    TrustedProxies::parse,
                )
                .unwrap_or_default(),
            mock_mode: r
                .value("MOCK_MODE", "true or false", |text| match text.to_ascii_lowercase().as_str() {
                    "true" | "1" => Some(true),
                    "false" | "0" => Some(false),
                    _ => None,
                })
                .unwrap_or(true),
            mock_data_path: r
                .text("MOCK_DATA_PATH")
                .map_or_else(|| PathBuf::from("mock-data"), PathBuf::from),
            sources: r.text("WEIRGATE_SOURCES").map(PathBuf::from),
            listen: r
                .value("WEIRGATE_LISTEN", "an IP address and port, such as 127.0.0.1:8080", |text| {
                    text.parse().ok()
                })
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            metrics_listen: r.value(
                "WEIRGATE_METRICS_LISTEN",
                "an IP address and port, such as 127.0.0.1:9464",
                |text| text.parse().ok(),
            ),
            home: r.text("WEIRGATE_HOME").map_or_else(|| default_home(r), PathBuf::from),
            pg_bin: r.text("WEIRGATE_PG_BIN").map(PathBuf::from),
            export_url: r.value("WEIRGATE_EXPORT_URL", "a file://, s3://, gs:// or az:// URL", |text| {
                let url = Url::parse(text).ok()?;
                object_store::ObjectStoreScheme::parse(&url).ok().map(|(_, _): (_, Path)| url)
            }),
            public_url: r.value("WEIRGATE_PUBLIC_URL", "an http:// or https:// URL", |text| {
                let url = Url::parse(text).ok()?;
                (matches!(url.scheme(), "http" | "https") && url.has_host())
                    .then(|| text.trim_end_matches('/').to_owned())
            }),
            server: r.value("WEIRGATE_URL", Address::EXPECTED, Address::read),
            token: r.text("WEIRGATE_TOKEN"),
            db_connections: r.number("WEIRGATE_DB_CONNECTIONS", 24, 5, 1000),
            domains: (r.get)("WEIRGATE_DOMAINS").map(|text| names(&text)),
            concurrency: r.checked("WEIRGATE_CONCURRENCY", concurrency::parse).unwrap_or_else(|| 8.into()),
            lease: Duration::from_secs(r.number("WEIRGATE_LEASE_S", 30, 1, 3600).into()),
            grace: Duration::from_secs(r.number("WEIRGATE_GRACE_S", 25, 0, 3600).into()),
            retention: days(r.number("WEIRGATE_RETENTION_DAYS", 30, 1, 36_500)),
            discarded_retention: days(r.number("WEIRGATE_DISCARDED_RETENTION_DAYS", 90, 1, 36_500)),
            requests_per_second: non_zero(r.number("WEIRGATE_REQUESTS_PER_S", 200, 1, 1_000_000)),
            request_burst: non_zero(r.number("WEIRGATE_REQUEST_BURST", 400, 1, 1_000_000)),
            log: r
                .value("WEIRGATE_LOG", "a log filter, such as info or weirgate=debug,info", |text| {
                    text.parse::<tracing_subscriber::EnvFilter>().ok().map(|_| text.to_owned())
                })
                .unwrap_or_else(|| "info,apalis_core=warn,sqlx=warn".to_owned()),
            log_format: r
                .value("WEIRGATE_LOG_FORMAT", "pretty or json", |text| match text {
                    "pretty" => Some(LogFormat::Pretty),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                })
                .unwrap_or(LogFormat::Pretty),
            otlp_endpoint: otlp::endpoint(r),
            service_name: r.text("OTEL_SERVICE_NAME").unwrap_or_else(|| "weirgate".to_owned()),
        }
    }

    /// Whether the domain of this name is served and worked.
    pub fn serves(&self, domain: &str) -> bool {
        self.domains.as_ref().is_none_or(|names| names.contains(domain))
    }

    /// The token of `/internal`, which a server must not be without.
    ///
    /// # Errors
    /// When it is missing, a placeholder or easily guessed.
    pub fn required_service_token(&self) -> Result<String, ConfigError> {
        let token = self.service_token.as_deref();
        checked_token("SERVICE_TOKEN", token.ok_or_else(|| wrong_token("SERVICE_TOKEN", "is not set"))?)
    }

    /// The token that is to take its place, where one is set.
    ///
    /// # Errors
    /// When it is a placeholder or easily guessed.
    pub fn next_service_token(&self) -> Result<Option<String>, ConfigError> {
        let token = self.service_token_next.as_deref();
        token.map(|token| checked_token("SERVICE_TOKEN_NEXT", token)).transpose()
    }
}

fn days(number: u32) -> Duration {
    Duration::from_hours(24 * u64::from(number))
}

fn non_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn names(text: &str) -> BTreeSet<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn default_home(r: &Reader<'_>) -> PathBuf {
    let data = r.text("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| r.text("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.map_or_else(|| PathBuf::from(".weirgate"), |data| data.join("weirgate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(&|name| pairs.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let config = read(&[("HOME", "/home/ada")]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.home, PathBuf::from("/home/ada/.local/share/weirgate"));
        assert!(config.mock_mode && config.database_url.is_none());
    }

    #[test]
    fn each_wrong_value_is_named_with_what_was_expected() {
        let error = read(&[
            ("WEIRGATE_LISTEN", "localhost"),
            ("MOCK_MODE", "maybe"),
            ("DATABASE_URL", "mysql://root:hunter2@db/x"),
            ("WEIRGATE_CONCURRENCY", "0"),
            ("WEIRGATE_LOG_FORMAT", "xml"),
            ("WEIRGATE_EXPORT_URL", "ftp://x"),
            ("WEIRGATE_TRUSTED_PROXIES", "proxy.example.com"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "WEIRGATE_LISTEN",
            "MOCK_MODE",
            "DATABASE_URL",
            "WEIRGATE_CONCURRENCY",
            "WEIRGATE_LOG_FORMAT",
            "WEIRGATE_EXPORT_URL",
            "WEIRGATE_TRUSTED_PROXIES",
        ] {
            assert!(error.contains(&format!("\n  {name}: ")), "{name} is missing in {error}");
        }
        assert!(error.contains("127.0.0.1:8080"), "an example helps: {error}");
        assert!(!error.contains("hunter2"), "a password is shown: {error}");
    }

    #[test]
    fn spans_are_sent_where_the_standard_variables_say() {
        let endpoint = |pairs: &[_]| read(pairs).unwrap().otlp_endpoint;
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example.com/in");
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[base]).as_deref(), Some("http://127.0.0.1:4318/v1/traces"));
        assert_eq!(endpoint(&[base, whole]).as_deref(), Some("https://traces.example.com/in"));
        assert_eq!(endpoint(&[base, ("OTEL_SDK_DISABLED", "true")]), None);
        for wrong in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_SDK_DISABLED", "perhaps"),
        ] {
            let error = read(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(&format!("\n  {}: ", wrong.0)), "{error}");
        }
    }

    #[test]
    fn a_server_wants_a_token_that_cannot_be_guessed() {
        for (token, ok) in [
            ("", false),
            ("changeme", false),
            ("change-me-please-1234567890", false),
            ("CHANGEME_0123456789abcdef", false),
            ("<output of openssl rand>", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("short", false),
            ("0123456789abcdef0123456789abcdef", true),
        ] {
            assert_eq!(
                read(&[("SERVICE_TOKEN", token)]).unwrap().required_service_token().is_ok(),
                ok,
                "{token:?}"
            );
            let next = read(&[("SERVICE_TOKEN_NEXT", token)]).unwrap().next_service_token();
            assert_eq!(next.is_ok(), ok || token.is_empty(), "{token:?}");
        }
    }

    #[test]
    fn the_example_file_has_every_setting_and_sets_none() {
        let example = include_str!("../.env.example");
        let shown: Vec<_> = example
            .lines()
            .filter_map(|line| line.strip_prefix("# ")?.split_once('='))
            .map(|it| it.0)
            .collect();
        let others = ["DATABASE_URL", "SERVICE_TOKEN", "SERVICE_TOKEN_NEXT", "MOCK_MODE", "MOCK_DATA_PATH"];
        for name in NAMES.iter().chain(&others).filter(|name| **name != "WEIRGATE_BUILD_DATABASE_URL") {
            assert!(shown.contains(name), "{name} is missing in .env.example");
        }
        assert!(
            example.lines().all(|line| line.is_empty() || line.starts_with("# ")),
            "a line sets something"
        );
    }

    #[test]
    fn no_domain_is_something_else_than_no_word_of_them() {
        assert!(read(&[]).unwrap().serves("msp"));
        assert!(!read(&[("WEIRGATE_DOMAINS", "")]).unwrap().serves("msp"));
        let two = read(&[("WEIRGATE_DOMAINS", "msp, keybuzz,")]).unwrap();
        assert!(two.serves("msp") && two.serves("keybuzz") && !two.serves("smartqueue"));
    }

    #[test]
    fn empty_values_count_as_not_set() {
        assert!(read(&[("DATABASE_URL", ""), ("WEIRGATE_LISTEN", " ")]).unwrap().database_url.is_none());
    }
}
