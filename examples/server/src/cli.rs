//! The command line.

use clap::{Args, Parser, Subcommand};
use session_core::types::RoomId;

/// Live voice rooms that are metered to the second.
#[derive(Debug, Parser)]
#[command(name = "session-server", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
    #[command(flatten)]
    pub(crate) settings: Flags,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Task {
    /// Migrate the database, then serve HTTP and run the background workers (the default).
    Serve,
    /// Apply migrations and exit.
    Migrate,
    /// Re-derive every balance, room and stay from the journal, check its chain and every named
    /// invariant; prints a JSON report. Servers may go on meanwhile.
    Audit,
    /// Print what the journal tells of one room, signed, so that anybody can check it offline.
    Export {
        /// The room's identifier.
        room: RoomId,
    },
    /// Read and validate the configuration and print it with secrets redacted.
    CheckConfig,
    /// Print the OpenAPI document of the routes.
    Openapi,
    /// One pass of every background worker; prints a JSON summary.
    Sweep {
        /// Required: there is no other way to sweep by hand.
        #[arg(long, required = true)]
        once: bool,
    },
}

/// Every setting that is no secret can be a flag, which wins over its environment variable.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Flags {
    /// Address to serve on [env SESSION_LISTEN, default 127.0.0.1:3338].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// `sqlite://PATH`, `postgres://USER@HOST/NAME` or `memory:` [env DATABASE_URL, default sqlite://session.db].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// `development` or `production` [env ENVIRONMENT].
    #[arg(long, global = true)]
    pub(crate) environment: Option<String>,
    /// 32 hex digits [env AGORA_APP_ID].
    #[arg(long, global = true, value_name = "HEX")]
    pub(crate) agora_app_id: Option<String>,
    /// `agora` or `livekit` [env MEDIA_PROVIDER, default agora].
    #[arg(long, global = true)]
    pub(crate) media_provider: Option<String>,
    /// The LiveKit server, such as `wss://media.example` [env LIVEKIT_URL].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) livekit_url: Option<String>,
    /// [env LIVEKIT_API_KEY].
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) livekit_api_key: Option<String>,
    /// Where clients find this server, such as `https://voice.example` [env PUBLIC_BASE_URL].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) public_base_url: Option<String>,
    /// Whose wallets sign in by message [env CHAIN_ID].
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(crate) chain_id: Option<String>,
    /// `mock`, or `live` where this build can read a chain [env ESCROW_MODE].
    #[arg(long, global = true)]
    pub(crate) escrow_mode: Option<String>,
    /// The contract of booked sessions [env ESCROW_ADDRESS].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) escrow_address: Option<String>,
    /// `1` or `2` [env ESCROW_VERSION, default 1].
    #[arg(long, global = true)]
    pub(crate) escrow_version: Option<String>,
    /// Further contracts, `version:address`, comma separated [env ESCROW_EXTRA].
    #[arg(long, global = true, value_name = "ESCROWS")]
    pub(crate) escrow_extra: Option<String>,
    /// The host of every booking of the mock escrow [env MOCK_HOST].
    #[arg(long, global = true, value_name = "WALLET")]
    pub(crate) mock_host: Option<String>,
    /// The guest of every booking of the mock escrow [env MOCK_GUEST].
    #[arg(long, global = true, value_name = "WALLET")]
    pub(crate) mock_guest: Option<String>,
    /// Take the sign-in of long ago, `on` or `off` [env SESSION_LEGACY_AUTH, default off].
    #[arg(long, global = true, value_name = "SWITCH")]
    pub(crate) legacy_auth: Option<String>,
    /// The stricter rules on the recorded routes, `on` or `off` [env SESSION_STRICT, default off].
    #[arg(long, global = true, value_name = "SWITCH")]
    pub(crate) strict: Option<String>,
    /// Added to the system clock; development only [env SESSION_CLOCK_OFFSET_SECONDS].
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        allow_hyphen_values = true
    )]
    pub(crate) clock_offset_seconds: Option<String>,
    /// `NAME=kill@N`, `=error@N` or `=pause@N`, comma separated: at the n-th pass of a named point
    /// the process ends, the call fails, or it waits for SIGUSR1; development only; `check-config`
    /// lists the names [env SESSION_FAILPOINTS].
    #[arg(long, global = true, value_name = "POINTS")]
    pub(crate) failpoints: Option<String>,
    /// Comma-separated origins, or `*` [env CORS_ALLOW_ORIGINS].
    #[arg(long, global = true, value_name = "ORIGINS")]
    pub(crate) cors_allow_origins: Option<String>,
    /// Address for Prometheus text at /metrics [env METRICS_LISTEN].
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<String>,
    /// `pretty` or `json` [env LOG_FORMAT].
    #[arg(long, global = true)]
    pub(crate) log_format: Option<String>,
    /// Which lines are logged [env RUST_LOG, default info].
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) rust_log: Option<String>,
    /// How long a drain may take [env SESSION_SHUTDOWN_SECONDS, default 20].
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) shutdown_seconds: Option<String>,
}
