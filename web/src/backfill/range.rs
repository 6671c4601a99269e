//! The days of tenants that a backfill is for.

use std::str::FromStr;

use az::SaturatingAs;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

/// Which end of the range comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillOrder {
    /// The last day first.
    #[default]
    NewestFirst,
    /// The first day first.
    OldestFirst,
}

impl FromStr for BackfillOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newest_first" => Ok(Self::NewestFirst),
            "oldest_first" => Ok(Self::OldestFirst),
            _ => Err("expected newest_first or oldest_first".to_owned()),
        }
    }
}

/// Which days there is something to do for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reprocess {
    /// Days without a result that was made after their end.
    #[default]
    Missing,
    /// Days that failed for good, without a result since.
    Failed,
    /// Every day.
    All,
}

impl Reprocess {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Failed, Self::All];

    /// The name in requests and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::All => "all",
        }
    }
}

impl FromStr for Reprocess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| "expected missing, failed or all".to_owned())
    }
}

/// Days of tenants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackfillRange {
    /// Whose days, in the order in which they have their turns.
    pub tenants: Vec<Uuid>,
    /// The first day, in each tenant's time zone.
    pub from: NaiveDate,
    /// The last day, not before the first.
    pub to: NaiveDate,
    /// Which end comes first.
    pub order: BackfillOrder,
    /// Which of the days.
    pub reprocess: Reprocess,
}

impl BackfillRange {
    /// Most slices that a backfill may have.
    pub const MOST_SLICES: u64 = 100_000_000;

    /// Slices there are: each tenant's days.
    pub fn total(&self) -> u64 {
        let days = (self.to - self.from).num_days() + 1;
        days.saturating_as::<u64>() * self.tenants.len() as u64
    }

    /// Slices whose day has not begun where the tenant is. They are skipped, unless it has when
    /// their turn comes.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn future_days(&self, conn: &mut PgConnection) -> sqlx::Result<u64> {
        let days = sqlx::query_scalar!(
            r#"select coalesce(sum(greatest(
                   $3::date - greatest((queue.now() at time zone time_zone)::date + 1, $2::date) + 1, 0
               )), 0)::bigint as "days!"
               from identity.tenants where id = any($1)"#,
            &self.tenants,
            self.from,
            self.to
        )
        .fetch_one(conn)
        .await?;
        Ok(days.unsigned_abs())
    }

    /// Every so manieth slice is one tenant's, the first of them this.
    pub fn place(&self, tenant: Uuid) -> Option<u64> {
        self.tenants.iter().position(|id| *id == tenant).map(|place| place as u64)
    }

    /// Slices of the tenant at `place` among the first `end`.
    pub fn before(&self, place: u64, end: u64) -> u64 {
        let tenants = self.tenants.len() as u64;
        end / tenants + u64::from(end % tenants > place)
    }
}
