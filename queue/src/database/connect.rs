//! How a connection for the engine is set up.

use sqlx::postgres::PgConnectOptions;

/// How Postgres has to plan the engine's statements, as settings of a session.
///
/// - `jit`: compiling a plan takes longer than running it. A day's figures over a million rows
///   took 0.5 s with it and 0.1 s without.
/// - `enable_seqscan`, `enable_bitmapscan`: a plan is made once and then kept. Made while a table
///   is small, it would read that table from end to end, or sort everything that an index finds
///   in order to take the first row, and it would still do so when the table has grown by hundreds
///   of thousands of rows, until its statistics are renewed. Whatever the engine asks for has an
///   index with the right order.
pub const PLANNER: [(&str, &str); 3] =
    [("jit", "off"), ("enable_seqscan", "off"), ("enable_bitmapscan", "off")];

/// Sets `options` up for the engine: with the settings of [`PLANNER`], as the server's session
/// options.
///
/// Connections through a pooler that refuses such options can be set up with the statements
/// `set jit = off` and so on instead, as long as the pooler keeps a session for each client.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sqlx::postgres::PgPoolOptions;
/// use weirgate_queue::connect_options;
///
/// let options = connect_options("postgres://localhost/jobs".parse()?);
/// let pool = PgPoolOptions::new().max_connections(10).connect_with(options).await?;
/// # Ok(())
/// # }
/// ```
pub fn connect_options(options: PgConnectOptions) -> PgConnectOptions {
    options.options(PLANNER)
}
